#include "task/option_words.h"

#include <string.h>

struct words {
	const char *path; /* or, where it begins with '.', how it ends */
	const char *zh;
};

/* The whole path goes before its end. */
static const struct words table[] = {
	{"name", "任务名称：用于日志、监控指标、目标端的标记和工作目录名。字母、数字、`.`、`_`、`-`，最长 100 字节。默认由两端地址组成。"},
	{"source.mode", "源端是什么：默认询问第一个应答的节点。`rdb` 和 `aof` 是文件而不是服务器，由 `source.path` 指定，全部写入后任务结束。`scan` 在禁止 PSYNC 时用 SCAN 和 DUMP "
			"读取服务器或集群。"},
	{"target.mode", "目标端是什么：默认询问第一个应答的节点。`rdb`、`aof` 和 `jsonl` 是文件而不是服务器，由 `target.path` 指定。"},
	{"source.path", "`rdb` 模式：RDB 文件。`aof` 模式：AOF 文件（可带 RDB 前导），或 Redis 7.0 起存放清单的目录，或清单文件本身。"},
	{"source.databases", "要同步的库；其他库的键不同步。"},
	{"source.read_from", "每个分片读取哪个服务器；从副本读取可减轻主节点做全量的负担。"},
	{"source.scan.follow", "`scan` 模式：读完所有键之后继续跟随变更；`false` 时任务随即结束。"},
	{"source.scan.notifications", "`scan` 模式：用键空间通知跟随变更。`auto` 在服务器不允许读取该设置时仍继续，`required` 则不；`off` 每隔 `source.scan.interval` 重新读取所有键。"},
	{"source.scan.interval", "`scan` 模式：即使没有已知遗漏，也在此时间后重新读取所有键；0s 表示从不。"},
	{"source.scan.count", "`scan` 模式：SCAN 的 COUNT。较小的值使源端停顿更短，较大的值减少往返次数。"},
	{"source.scan.pipeline", "`scan` 模式：在应答之前最多预先请求的键数；值较大时会更少。"},
	{"source.scan.changes", "`scan` 模式：每条链路用于记录已变更、尚待读取的键名的内存；变更更多时需要再完整读取一遍。"},
	{"target.path", "`rdb` 或 `jsonl` 模式：要写的文件；`aof` 模式：多文件 AOF 的目录。`{shard}` 代表源端分片的编号，有多个分片时必须使用。"},
	{"target.follow", "`aof` 或 `jsonl` 模式：全量之后继续写入增量，直到任务停止；`false` 在全量后结束，`rdb` 模式总是如此。"},
	{"target.aof_format", "`aof` 模式：包含清单、基础文件和增量文件的目录（服务器 7.0 起的形式），或带 RDB 前导的单个文件（4.0 起可读）。"},
	{"target.existing", "启动时目标端已有键怎么办：拒绝、保留并追加，或先全部删除。对于文件：拒绝，或在新文件完整后替换它。"},
	{"target.conflict", "全量中的键在目标端已存在时怎么办。"},
	{"target.resync", "源端要求再次全量时：`exact` 删除目标端有而全量中没有的键，因为源端在此期间已将其删除；`add` 保留；`auto` 即 exact，但使用 `target.existing: merge` 或 `lua` "
			  "时保留。"},
	{"target.downgrade", "目标端版本较旧或属于另一家族、没有对应的值或命令时怎么办（哈希字段的过期时间、流、函数）：停止，或省略它并继续，记入日志并计数。"},
	{"target.unsupported", "目标端未加载的模块的值和命令，以及模块在键之外保存的数据怎么办：停止，或省略，记入日志并计数。"},
	{"target.keep_idle", "把全量中键的空闲时间（LRU）或访问频率（LFU）带到目标端（Redis 5.0 起）；源端的 maxmemory-policy 为 LRU 或 LFU 之一时才会发送。"},
	{"target.expiry_guard", "是否防止目标端先于源端使键过期：`auto` 在链路落后期间，`always` 直到 `keyferry finish`，或 `off`。在此期间目标端的读者会看到长达数千年的存活时间；处于导入模式"
				"的目标端不需要它。"},
	{"target.expiry_margin", "链路同步时，键在目标端比源端多存活的时间：目标端或 keyferry 停顿不超过此时间时，不会丢失源端延长了寿命的键。源端的 DEL 会按时删除键；`keyferry finish` 去掉"
				 "这段余量。"},
	{"target.database_map", "源端每个库对应目标端的哪个库；未列出的库保持原库号。多个库可以映射到同一个库。"},
	{"on_conflict", "目标端最终拒绝某条增量命令时怎么办：停止任务并保留位点，或跳过该命令并计数。"},
	{"checkpoint", "同步位点保存在哪里。`target`：与数据一起存于目标端，增量中的每条命令恰好生效一次，无论丢失什么。`local`：只存于工作目录，目标端没有 keyferry 自己的键，但崩溃或断线之后"
		       "大约最后一秒的命令会执行两次。"},
	{"snapshot", "先复制已有数据，再跟随增量；`false` 只同步此后的写入。"},
	{"heartbeat", "`heartbeat.enabled` 的简写。"},
	{"heartbeat.enabled", "在源端每个分片写入键 DTS_REDIS_TIMESTAMP_HEARTBEAT 以测量延迟；该键不会同步。关闭时延迟由采样的偏移量得出。"},
	{"heartbeat.interval", "两次心跳之间的时间。"},
	{"verify.every", "每隔这么久校验一次运行中的任务，与 `keyferry verify` 相同；第一次在启动后一个间隔。`0s`：从不。"},
	{"verify.mode", "比较值，或只比较概要（`outline`）：键是否存在、类型、过期时间和长度。"},
	{"verify.repair", "把目标端有差异的键改成与源端一致。"},
	{"verify.rate", "每秒比较的键数，两端合计；0：不限。"},
	{"limit.spec", "每条链路每秒的记录数，以规格表示：micro 200、small 2000、medium 5000、large 11000、xlarge 17000、2xlarge 34000、4xlarge 68000；或一个数字。"},
	{"limit.records_per_second", "等同于以数字填写的 `limit.spec`；两者都有时以后者为准。"},
	{"limit.bytes_per_second", "每条链路每秒发送到目标端的字节数。"},
	{"spool.max_size", "一条链路的本地缓存可占用的磁盘空间；用满时，读取源端的速度不超过目标端写入的速度。至少四个分段。"},
	{"spool.keep_size", "已写入的内容中有多少保留在链路的本地缓存里，以便目标端丢失已确认的写入时重新发送；最多为 `spool.max_size` 的一半，空间不足时更少。"},
	{"spool.keep_time", "保留多久。"},
	{"spool.segment_size", "本地缓存一个文件的大小，MiB 的整数倍。"},
	{"buffers.in_flight_bytes", "一条链路已发送到目标端、尚未应答的字节数上限。"},
	{"buffers.in_flight_commands", "一条链路已发送到目标端、尚未应答的命令数上限。"},
	{"timeouts.connect", "建立连接（含 TLS 和登录）的时限，超过后重试。"},
	{"timeouts.replication", "源端沉默这么久之后，链路重新连接并继续。"},
	{"precheck.waive", "无论结果如何都不阻止任务启动的预检查项；报告和日志仍会显示。`keyferry precheck --list` 列出名称。"},
	{"filter.allow", "同步什么：至少符合其中一条规则的内容；未填写时为全部。一条规则中列出的条件必须全部满足。"},
	{"filter.block", "不同步什么，即使 `filter.allow` 包含它。"},
	{"rename", "键的新名称：应用第一条符合的规则。"},
	{"expiry", "目标端的其他存活时间：应用第一条符合的规则。永不过期的键保持不变。"},
	{"lua.script", "返回一个函数的脚本；对每个键和每条命令调用，可以丢弃、修改或拆分它。"},
	{"lua.file", "存放该脚本的文件。"},
	{"lua.steps", "一次调用最多执行的指令数；超过即为脚本错误。"},
	{"lua.memory", "脚本在每条链路上可使用的内存。"},
	{"rename[].database", "只限源端此库的键。"},
	{"rename[].prefix", "键的前缀，将被替换。为空表示所有键：把 `to` 加在前面。"},
	{"rename[].match", "在键中查找的正则表达式（PCRE2，按字节）；匹配的部分被替换。"},
	{"rename[].to", "替换成什么：`$1` 和 `${name}` 是 `match` 的分组，`$0` 是全部匹配，`${db}` 是源端库号，`$$` 是美元符号。"},
	{"expiry[].set", "源端给出的所有存活时间都改为此值。"},
	{"expiry[].drop", "键在目标端不会自行过期。"},
	{"expiry[].scale", "剩余时间乘以此系数。"},
	/* of each side, and of its Sentinels */
	{".address", "服务器的地址，任一节点即可，其余节点自动发现。"},
	{".username", "登录所用的 ACL 用户；不填写时为默认用户。"},
	{".password", "密码；最好用 `password_file` 或 `password_env` 使其不出现在文档中。"},
	{".password_file", "存放密码的文件；末尾的一个换行不计。每次新建连接时重新读取，因此服务器上修改密码后这里也随之改变。"},
	{".password_env", "存放密码的环境变量。"},
	{".tls", "使用 TLS，按系统证书校验对方；填写其子选项即表示启用。"},
	{".tls.ca", "用于校验对方的证书（PEM），代替系统证书。"},
	{".tls.cert", "出示给对方的客户端证书（PEM）；需要同时填写 `key`。"},
	{".tls.key", "客户端证书的私钥（PEM）。"},
	{".tls.server_name", "证书必须具有的名称，与所连接的主机名不同时填写。"},
	{".tls.insecure", "不校验证书：途中任何人都可以读取和篡改数据。"},
	{".master", "Sentinel 监视的主节点名称；`sentinel` 模式必填。"},
	/* of every rule that means keys */
	{"[].database", "源端的库。"},
	{"[].key", "键本身，以源端的名称为准。"},
	{"[].prefix", "键的前缀。"},
	{"[].glob", "整个键，写法与服务器的 KEYS 命令相同：`*`、`?`、`[a-z]`、`[^a]`、`\\`。"},
	{"[].regex", "在键中查找的正则表达式（PCRE2，按字节）。"},
	{"[].slot", "键的哈希槽，源端不是集群时也可使用。"},
	{"[].type", "值的类型；位图和 HyperLogLog 属于字符串，地理位置集合属于有序集合。"},
	{"[].command", "增量命令的名称，有子命令时一并写出；可用 `glob` 的 `*` 和 `?`。"},
	{"[].group", "增量命令所属的分组。"},
};

static bool ends_with(const char *text, const char *end)
{
	size_t len = strlen(text), end_len = strlen(end);

	return len > end_len && strcmp(text + len - end_len, end) == 0;
}

const char *option_words(const char *path, const struct option_row *row, const char *language)
{
	const char *by_end = NULL;
	size_t longest = 0;

	if (strcmp(language, "zh") != 0)
		return row->sentence;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *known = table[i].path;

		if (strcmp(known, path) == 0)
			return table[i].zh;
		if ((known[0] == '.' || known[0] == '[') && strlen(known) > longest && ends_with(path, known)) {
			by_end = table[i].zh;
			longest = strlen(known);
		}
	}
	return by_end ? by_end : row->sentence;
}
