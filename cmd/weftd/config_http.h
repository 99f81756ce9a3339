/* The setting `http` of the configuration. Private to weftd. */
#ifndef WEFTD_CONFIG_HTTP_H
#define WEFTD_CONFIG_HTTP_H

#include "yaml_fields.h"

/* Read {listen: [ADDRESS …], names: [NAME …], remote: BOOL} into a struct config_http. */
void read_http(struct reader *r, const struct field *f, const yaml_node_t *v, void *out);

#endif
