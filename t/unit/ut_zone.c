
#include "ut_zone.h"

#include <sys/mman.h>


ngx_pid_t   ngx_pid;
ngx_uint_t  ngx_pagesize = 4096;

static ngx_shm_zone_t   ut_shm;
static u_char          *ut_free_memory;
static ngx_pool_t      *ut_mem;


void
ut_zone_conf(ngx_conf_t *cf)
{
    ut_mem = ut_pool();

    ngx_memzero(cf, sizeof(ngx_conf_t));
    cf->pool = ut_mem;
}


ngx_shm_zone_t *
ngx_shared_memory_add(ngx_conf_t *cf, ngx_str_t *name, size_t size, void *tag)
{
    ut_shm.shm.size = size;

    return &ut_shm;
}


ngx_int_t
ut_zone_start(void)
{
    ut_shm.shm.addr = mmap(NULL, ut_shm.shm.size, PROT_READ|PROT_WRITE,
                           MAP_ANON|MAP_SHARED, -1, 0);

    if (ut_shm.shm.addr == MAP_FAILED) {
        ut_shm.shm.addr = NULL;
        return NGX_ERROR;
    }

    ngx_memset(ut_shm.shm.addr, 0xa5, ut_shm.shm.size);

    /* the pool of slabs is what a zone begins with */

    ut_free_memory = ut_shm.shm.addr + 4096;

    return ut_shm.init(&ut_shm, NULL);
}


void
ut_zone_end(void)
{
    if (ut_shm.shm.addr) {
        (void) munmap(ut_shm.shm.addr, ut_shm.shm.size);
        ut_shm.shm.addr = NULL;
    }

    ngx_destroy_pool(ut_mem);
}


void *
ngx_slab_alloc(ngx_slab_pool_t *pool, size_t size)
{
    u_char  *p;

    p = ut_free_memory;
    size = ngx_align(size, 4096);

    if (p + size > ut_shm.shm.addr + ut_shm.shm.size) {
        return NULL;
    }

    ut_free_memory += size;

    return p;
}


void *
ngx_slab_calloc(ngx_slab_pool_t *pool, size_t size)
{
    void  *p;

    p = ngx_slab_alloc(pool, size);

    if (p) {
        ngx_memzero(p, size);
    }

    return p;
}
