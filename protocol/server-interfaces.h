#pragma once

/* What a server offers: the list of its interfaces, and org.varlink.service, which describes them. Knows no
 * connections. */

#include "server.h" /* ServerInterface, by value */

#define SERVER_INTERFACES_MAX 9u /* eight, and org.varlink.service */

typedef struct ServerInterfaces {
        const ServerOptions *options; /* borrowed: vendor, product, version, url */
        const ServerInterface *items[SERVER_INTERFACES_MAX];
        unsigned n;
        ServerInterface service; /* org.varlink.service */
} ServerInterfaces;

/* interfaces must stay where it is. */
void server_interfaces_init(ServerInterfaces *interfaces, const ServerOptions *options);
/* 0, -EEXIST or -ENOSPC. */
must_check int server_interfaces_add(ServerInterfaces *interfaces, const ServerInterface *interface);
/* "interface.Method"; NULL when there is none. */
const ServerMethod *server_interfaces_find(const ServerInterfaces *interfaces, const char *method,
                                           const ServerInterface **ret_interface);
