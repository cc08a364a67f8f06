/* Preloaded: while the file named by FAILING_SYNC says "error", every sync fails; while it says "slow", it takes longer. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

static int failing(void) {
    const char *path = getenv("FAILING_SYNC");
    char how = 0;
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return 0;
    if (read(file, &how, 1) != 1) how = 0;
    close(file);
    if (how == 's') usleep(500000);
    return how == 'e';
}

static int through(const char *name, int file) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);
    if (failing()) { errno = EIO; return -1; }
    return real(file);
}

int fsync(int file) { return through("fsync", file); }
int fdatasync(int file) { return through("fdatasync", file); }
