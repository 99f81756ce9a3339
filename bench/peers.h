/* The systems bench-peers measures. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

#include "bench.h"

extern const struct bench_system system_tcp, system_zmq, system_nng, system_nats, system_redis,
    system_mosquitto;

#endif
