# URLs of Redis: the source is part of the test, with fakes of what it calls.

REDIS = ../../ngx_chat_module/redis

TESTS += $(BUILD)/ut_redis_url


$(BUILD)/ut_redis_url: $(BUILD)/ut_redis_url.o $(BUILD)/ut_nginx_url.o \
                       $(BUILD)/ngx_chat_str.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/ut_redis_url.o: $(REDIS)/ngx_chat_redis_url.c \
                         $(REDIS)/ngx_chat_redis_args.c \
                         $(REDIS)/ngx_chat_redis_decode.c \
                         $(REDIS)/ngx_chat_redis_conf.c \
                         $(REDIS)/ngx_chat_redis_url.h
