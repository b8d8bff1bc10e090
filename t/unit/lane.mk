# The lane, on real sockets.

LANE = ../../ngx_chat_module/lane

LANE_OBJS = $(patsubst $(LANE)/%.c,$(BUILD)/%.o,$(wildcard $(LANE)/*.c)) \
            $(BUILD)/fake_loop.o $(BUILD)/fake_socket.o $(BUILD)/ut_side.o \
            $(BUILD)/ut_worker.o

LANE_UTS = $(patsubst %.c,$(BUILD)/%,$(wildcard ut_lane*.c))

TESTS += $(LANE_UTS)


$(LANE_UTS): $(BUILD)/ut_%: $(BUILD)/ut_%.o $(LANE_OBJS) $(UT_OBJS) \
                            $(CODEC_OBJS)
	$(CC) $(SANFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/ngx_chat_%.o: $(LANE)/ngx_chat_%.c $(HEADERS) | $(BUILD)
	$(COMPILE) -o $@ $<
