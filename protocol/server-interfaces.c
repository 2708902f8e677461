#include "server-interfaces.h"

#include <string.h>

#include "fields.h"

/* As the project that defines it words it. */
static const char service_description[] =
        "# The Varlink Service Interface is provided by every varlink service. It\n"
        "# describes the service and the interfaces it implements.\n"
        "interface org.varlink.service\n"
        "\n"
        "# Get a list of all the interfaces a service provides and information\n"
        "# about the implementation.\n"
        "method GetInfo() -> (vendor: string, product: string, version: string, url: string, interfaces: []string)\n"
        "\n"
        "# Get the description of an interface that is implemented by this service.\n"
        "method GetInterfaceDescription(interface: string) -> (description: string)\n"
        "\n"
        "# The requested interface was not found.\n"
        "error InterfaceNotFound (interface: string)\n"
        "\n"
        "# The requested method was not found\n"
        "error MethodNotFound (method: string)\n"
        "\n"
        "# The interface defines the requested method, but the service does not\n"
        "# implement it.\n"
        "error MethodNotImplemented (method: string)\n"
        "\n"
        "# One of the passed parameters is invalid.\n"
        "error InvalidParameter (parameter: string)\n"
        "\n"
        "# Client is denied access\n"
        "error PermissionDenied ()\n"
        "\n"
        "# Method is expected to be called with 'more' set to true, but wasn't\n"
        "error ExpectedMore ()\n";

static const ServerInterface *find_interface(const ServerInterfaces *interfaces, const char *name, size_t length) {
        for (unsigned i = 0; i < interfaces->n; i++)
                if (strlen(interfaces->items[i]->name) == length &&
                    memcmp(interfaces->items[i]->name, name, length) == 0)
                        return interfaces->items[i];
        return NULL;
}

static int service_get_info(Call *call, const json_t *parameters, void *userdata) {
        static const Field no_fields[] = { { NULL, NULL, 0, 0 } };
        const ServerInterfaces *interfaces = userdata;
        const ServerOptions *options = interfaces->options;
        json_t *names;
        const char *bad;

        if (fields_decode(parameters, no_fields, NULL, &bad) != FIELDS_DECODED)
                return call_invalid_parameter(call, bad);
        names = json_array();
        for (unsigned i = 0; i < interfaces->n; i++)
                if (json_array_append_new(names, json_string(interfaces->items[i]->name)) < 0) {
                        json_decref(names);
                        return -ENOMEM;
                }
        return call_reply_pack(call, false, "{s:s, s:s, s:s, s:s, s:o}", "vendor", options->vendor, "product",
                               options->product, "version", options->version, "url", options->url, "interfaces", names);
}

static int service_get_description(Call *call, const json_t *parameters, void *userdata) {
        typedef struct Arguments { const char *name; } Arguments;
        static const Field fields[] = {
                { "interface", field_string, offsetof(Arguments, name), FIELD_REQUIRED },
                { NULL, NULL, 0, 0 },
        };
        const ServerInterface *interface;
        Arguments arguments = { NULL };
        const char *bad;

        if (fields_decode(parameters, fields, &arguments, &bad) != FIELDS_DECODED)
                return call_invalid_parameter(call, bad);
        interface = find_interface(userdata, arguments.name, strlen(arguments.name));
        if (!interface)
                return call_error(call, ERROR_INTERFACE_NOT_FOUND, json_pack("{s:s}", "interface", arguments.name));
        return call_reply_pack(call, false, "{s:s}", "description", interface->description);
}

static const ServerMethod service_methods[] = {
        { "GetInfo", service_get_info, 0 },
        { "GetInterfaceDescription", service_get_description, 0 },
        { NULL, NULL, 0 },
};

void server_interfaces_init(ServerInterfaces *interfaces, const ServerOptions *options) {
        *interfaces = (ServerInterfaces) { .options = options };
        interfaces->service = (ServerInterface) {
                .name = "org.varlink.service",
                .description = service_description,
                .methods = service_methods,
                .userdata = interfaces,
        };
        interfaces->items[interfaces->n++] = &interfaces->service;
}

int server_interfaces_add(ServerInterfaces *interfaces, const ServerInterface *interface) {
        if (find_interface(interfaces, interface->name, strlen(interface->name)))
                return -EEXIST;
        if (interfaces->n == SERVER_INTERFACES_MAX)
                return -ENOSPC;
        interfaces->items[interfaces->n++] = interface;
        return 0;
}

const ServerMethod *server_interfaces_find(const ServerInterfaces *interfaces, const char *method,
                                           const ServerInterface **ret_interface) {
        const char *dot = strrchr(method, '.');
        const ServerInterface *interface = dot ? find_interface(interfaces, method, (size_t) (dot - method)) : NULL;

        if (!interface)
                return NULL;
        for (const ServerMethod *m = interface->methods; m->name; m++)
                if (strcmp(m->name, dot + 1) == 0) {
                        *ret_interface = interface;
                        return m;
                }
        return NULL;
}
