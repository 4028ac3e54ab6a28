/* INFO of a server: any text. */
#include "peer/server.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct server_info info;
	char name[64];

	if (!server_info_parse(slice_make(data, size), &info))
		return 0;
	server_name(&info, name);
	if (info.rdb_version < 6 || strlen(info.replid) > 40 || strlen(info.run_id) > 40 ||
	    strlen(info.master.host) >= sizeof(info.master.host) || info.highest_db < -1 || info.repl_offset < 0)
		abort();
	return 0;
}
