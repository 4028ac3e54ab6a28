#include "cmd/command.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <uv.h>
#include <yaml.h>

int cmd_version(int argc, char **argv)
{
	struct arguments arguments;
	int code = command_arguments("version", argc, argv, &arguments);

	if (code != COMMAND_GO_ON)
		return code;
	printf("keyferry %s\n", KEYFERRY_VERSION);
	printf("libuv %s, %s, jansson %s, libyaml %s\n", uv_version_string(), OpenSSL_version(OPENSSL_VERSION),
	       jansson_version_str(), yaml_get_version_string());
	return ERROR_NONE;
}
