
#include "ngx_http_chat_worker.h"
#include "ngx_http_chat_spare.h"
#include "../../provider/ngx_chat_peers.h"


ngx_chat_hub_t  *ngx_http_chat_hub;
ngx_array_t     *ngx_http_chat_peers;

ngx_chat_scoreboard_counts_t  *ngx_http_chat_counts;
ngx_chat_tier_t  *ngx_http_chat_worker_zone;


ngx_int_t
ngx_http_chat_worker_init(ngx_http_chat_main_conf_t *chmcf, ngx_cycle_t *cycle)
{
    static ngx_chat_scoreboard_counts_t  unread;

    ngx_http_chat_counts = ngx_chat_scoreboard_take_worker(chmcf->scoreboard);
    if (ngx_http_chat_counts == NULL) {
        ngx_http_chat_counts = &unread;
    }

    ngx_chat_metrics_zone_take(chmcf->metrics);

    ngx_http_chat_worker_zone = chmcf->hub.zone;

    if (ngx_http_chat_worker_zone) {
        ngx_chat_tier_take(ngx_http_chat_worker_zone);
    }

    ngx_http_chat_peers = ngx_chat_peers_create(&chmcf->providers, cycle->pool);
    if (ngx_http_chat_peers == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_chat_spares_init(chmcf, cycle) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_chat_hub = ngx_chat_hub_create(&chmcf->hub, cycle->log);

    return ngx_http_chat_hub ? NGX_OK : NGX_ERROR;
}


void
ngx_http_chat_worker_close(void)
{
    if (ngx_http_chat_hub) {
        ngx_chat_hub_close(ngx_http_chat_hub);
        ngx_http_chat_hub = NULL;
    }

    if (ngx_http_chat_worker_zone) {
        ngx_chat_tier_release(ngx_http_chat_worker_zone);
        ngx_http_chat_worker_zone = NULL;
    }

    ngx_http_chat_spares_close();
}
