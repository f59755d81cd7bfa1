/* A card with bad sectors, as the kernel shows it: reading one is EIO, whatever the file is called by then.
 *
 * BAD_SECTORS names a file with lines "inode offset"; it is read at each call, so sectors go bad under a running process. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/types.h>

#define SECTOR_BYTES 512

static int is_bad(int fd, off_t from, size_t size) {
    const char *list = getenv("BAD_SECTORS");
    FILE *file = list ? fopen(list, "r") : NULL;
    struct stat stat;
    unsigned long long inode, at;
    int found = 0;
    if (!file)
        return 0;
    if (fstat(fd, &stat) == 0)
        while (!found && fscanf(file, "%llu %llu", &inode, &at) == 2)
            found = inode == stat.st_ino && from < (off_t)(at + SECTOR_BYTES) && from + (off_t)size > (off_t)at;
    fclose(file);
    return found;
}

ssize_t pread64(int fd, void *bytes, size_t size, off_t from) {
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (!real)
        real = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread64");
    if (is_bad(fd, from, size)) {
        errno = EIO;
        return -1;
    }
    return real(fd, bytes, size, from);
}
