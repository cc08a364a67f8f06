/* Preloaded: what is under FAILING_UNDER fails as the file named by FAILING_DISK says. "error": every sync fails;
 * "writes": every write does; "slow": a sync takes half a second longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_under(int file) {
    char link[32], path[PATH_MAX];
    const char *under = getenv("FAILING_UNDER");
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = under ? readlink(link, path, sizeof path) : -1;
    return length > 0 && (size_t)length >= strlen(under) && !strncmp(path, under, strlen(under));
}

static char said(int file) {
    const char *path = getenv("FAILING_DISK");
    char how = 0;
    int saved = errno, saying = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (saying >= 0) {
        if (read(saying, &how, 1) != 1 || !is_under(file)) how = 0;
        close(saying);
    }
    errno = saved;
    return how;
}

static int synced(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    char how = said(file);
    if (how == 'e') { errno = EIO; return -1; }
    if (how == 's') usleep(500000);
    return real(file);
}

static ssize_t written(const char *name, int file, const void *data, size_t length, off64_t at) {
    ssize_t (*real)(int, const void *, size_t, off64_t) =
        (ssize_t (*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, name);
    if (said(file) == 'w') { errno = EIO; return -1; }
    return real(file, data, length, at);
}

int fsync(int file) { return synced("fsync", file); }
int fdatasync(int file) { return synced("fdatasync", file); }

ssize_t write(int file, const void *data, size_t length) {
    ssize_t (*real)(int, const void *, size_t) = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (said(file) == 'w') { errno = EIO; return -1; }
    return real(file, data, length);
}

ssize_t pwrite(int file, const void *data, size_t length, off_t at) { return written("pwrite", file, data, length, at); }
ssize_t pwrite64(int file, const void *data, size_t length, off64_t at) { return written("pwrite64", file, data, length, at); }
