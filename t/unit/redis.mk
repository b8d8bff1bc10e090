# URLs of Redis: the source is part of the test, with fakes of what it calls.
# A connection to Redis, without all that leads to it, on real sockets.

REDIS = ../../ngx_chat_module/redis

TESTS += $(BUILD)/ut_redis_url $(BUILD)/ut_redis_conn


$(BUILD)/ut_redis_url: $(BUILD)/ut_redis_url.o $(BUILD)/ut_nginx_url.o \
                       $(BUILD)/ngx_chat_str.o $(UT_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^

$(BUILD)/ut_redis_url.o: $(REDIS)/ngx_chat_redis_url.c \
                         $(REDIS)/ngx_chat_redis_args.c \
                         $(REDIS)/ngx_chat_redis_decode.c \
                         $(REDIS)/ngx_chat_redis_conf.c \
                         $(REDIS)/ngx_chat_redis_url.h

$(BUILD)/ut_redis_conn: $(BUILD)/ut_redis_conn.o $(BUILD)/ngx_chat_redis_conn.o \
                        $(BUILD)/fake_loop.o $(BUILD)/fake_socket.o \
                        $(UT_OBJS) $(CODEC_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ngx_chat_redis_%.o: $(REDIS)/ngx_chat_redis_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
