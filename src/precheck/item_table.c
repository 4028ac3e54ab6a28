#include "precheck/item.h"

#include <string.h>

#define BOTH (SCOPE_OF_SOURCE | SCOPE_OF_TARGET)

const struct precheck_item precheck_items[] = {
	{"connect", SCOPE_NODES | BOTH, {"address, TLS, user and password of every node", "每个节点的地址、TLS、用户和口令"}, ERROR_SOURCE, .fixed = true, .judge = judge_connect},
	{"same-server", SCOPE_MASTERS | SCOPE_OF_SOURCE | SCOPE_COMPARES, {"source and target are not the same server", "源端与目标端不是同一台服务器"}, ERROR_PRECHECK, .fixed = true,
	 .judge = judge_same_server},
	{"role", SCOPE_MASTERS | BOTH, {"masters, not replicas", "是主节点而非副本"}, ERROR_PRECHECK, .fixed = true, .judge = judge_role},
	{"slots", SCOPE_SIDE | BOTH, {"all 16384 slots of a cluster have a master", "集群的 16384 个槽都有主节点"}, ERROR_PRECHECK, .judge = judge_slots},
	{"cluster-state", SCOPE_MASTERS | BOTH, {"cluster state, failing nodes, slots on the move", "集群状态、失效节点、迁移中的槽"}, ERROR_PRECHECK, .waited_out = true,
	 .judge = judge_cluster_state},
	{"clock", SCOPE_MASTERS | BOTH, {"difference from this machine's clock", "与本机时钟的差"}, ERROR_PRECHECK, .judge = judge_clock},

	{"psync", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"PSYNC is there and permitted", "PSYNC 存在且有权执行"}, ERROR_SOURCE, .judge = judge_psync},
	{"scan", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"source.mode: scan: rights, keyspace notifications", "source.mode: scan：权限、键空间通知"}, ERROR_PRECHECK, .judge = judge_scan},
	{"heartbeat", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"the heartbeat can be written", "可以写入心跳"}, ERROR_PRECHECK, .told_later = true, .judge = judge_heartbeat},
	{"snapshot", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"size and time of the snapshot, estimated", "快照的大小和时间（估计）"}, ERROR_PRECHECK, .judge = judge_snapshot},
	{"fork-memory", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"memory for the fork that makes the snapshot", "生成快照的 fork 所需内存"}, ERROR_PRECHECK, .judge = judge_fork_memory},
	{"repl-backlog-size", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"how long an interruption the backlog covers", "积压缓冲区能覆盖多长的中断"}, ERROR_PRECHECK, .judge = judge_backlog},
	{"output-buffer", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"client-output-buffer-limit of replicas against the snapshot's time", "副本的 client-output-buffer-limit 与快照时间"},
	 ERROR_PRECHECK, .judge = judge_output_buffer},
	{"repl-timeout", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"repl-timeout, and the source's pings against timeouts.replication", "repl-timeout，以及源端 ping 间隔与 timeouts.replication"},
	 ERROR_PRECHECK, .judge = judge_repl_timeout},
	{"repl-diskless-sync", SCOPE_MASTERS | SCOPE_OF_SOURCE, {"repl-diskless-sync and its delay", "repl-diskless-sync 及其延迟"}, ERROR_PRECHECK, .judge = judge_diskless_sync},
	{"persistence", SCOPE_MASTERS | BOTH, {"saving works; no writes are refused for it", "持久化正常，没有因此拒绝写入"}, ERROR_PRECHECK, .waited_out = true, .judge = judge_persistence},
	{"min-replicas", SCOPE_MASTERS | BOTH, {"min-replicas-to-write is met", "满足 min-replicas-to-write"}, ERROR_PRECHECK, .waited_out = true, .judge = judge_min_replicas},

	{"rights", SCOPE_MASTERS | SCOPE_OF_TARGET, {"ACL rights, command by command", "逐条命令的 ACL 权限"}, ERROR_SOURCE, .judge = judge_rights},
	{"target-empty", SCOPE_MASTERS | SCOPE_OF_TARGET, {"no keys yet, or target.existing says what becomes of them", "没有键，或由 target.existing 决定如何处理"}, ERROR_PRECHECK, .fixed = true, .told_later = true,
	 .judge = judge_target_empty},
	{"target-memory", SCOPE_MASTERS | SCOPE_OF_TARGET | SCOPE_COMPARES, {"room for the source's data", "能否容纳源端数据"}, ERROR_PRECHECK, .waited_out = true, .judge = judge_target_memory},
	{"eviction", SCOPE_MASTERS | SCOPE_OF_TARGET, {"maxmemory-policy does not evict", "maxmemory-policy 不会淘汰键"}, ERROR_PRECHECK, .judge = judge_eviction},
	{"databases", SCOPE_SIDE | SCOPE_OF_TARGET | SCOPE_COMPARES, {"the target has every database that is copied", "目标端具有所要复制的每个数据库"}, ERROR_PRECHECK, .judge = judge_databases},
	{"versions", SCOPE_SIDE | SCOPE_OF_TARGET | SCOPE_COMPARES, {"the target's version takes what the source's may hold", "目标端版本能容纳源端版本的数据"}, ERROR_PRECHECK, .judge = judge_versions},
	{"modules", SCOPE_SIDE | SCOPE_OF_TARGET | SCOPE_COMPARES, {"the target has the source's modules", "目标端具有源端的模块"}, ERROR_PRECHECK, .judge = judge_modules},
	{"types", SCOPE_MASTERS | SCOPE_OF_SOURCE | SCOPE_COMPARES, {"types of 100 random keys against the target", "随机 100 个键的类型与目标端"}, ERROR_PRECHECK, .judge = judge_types},
	{"commands", SCOPE_MASTERS | SCOPE_OF_TARGET | SCOPE_COMPARES, {"commands that the source's clients have used are known", "认识源端客户端用过的命令"}, ERROR_PRECHECK, .judge = judge_commands},
	{"across-slots", SCOPE_MASTERS | SCOPE_OF_SOURCE | SCOPE_COMPARES, {"to a cluster: commands across slots and databases that clients have used", "写往集群：客户端用过的跨槽、跨库命令"}, ERROR_PRECHECK,
	 .judge = judge_across_slots},
	{"loop", SCOPE_MASTERS | SCOPE_OF_TARGET | SCOPE_COMPARES, {"the target is not copied to the source", "目标端没有复制到源端"}, ERROR_PRECHECK, .judge = judge_loop},
	{"other-task", SCOPE_MASTERS | SCOPE_OF_TARGET | SCOPE_COMPARES, {"no other keyferry task writes there", "没有其他 keyferry 任务写入"}, ERROR_PRECHECK, .judge = judge_other_task},

	{"source-files", SCOPE_ONCE, {"RDB and append-only files as source are whole", "作为源端的 RDB、AOF 文件完整"}, ERROR_SOURCE, .fixed = true, .judge = judge_source_files},
	{"target-files", SCOPE_ONCE, {"files as target: names, what is there already, who can load them", "作为目标端的文件：名称、已有文件、谁能加载"}, ERROR_PRECHECK, .fixed = true,
	 .judge = judge_target_files},
	{"work-directory", SCOPE_ONCE, {"the work directory can be written", "工作目录可写"}, ERROR_USAGE, .fixed = true, .judge = judge_work_directory},
	{"disk", SCOPE_ONCE, {"disk space of the spool", "本地缓存的磁盘空间"}, ERROR_PRECHECK, .judge = judge_disk},
};

const uint32_t precheck_item_count = sizeof(precheck_items) / sizeof(precheck_items[0]);

const struct precheck_item *precheck_item_find(const char *name)
{
	for (uint32_t i = 0; i < precheck_item_count; i++)
		if (strcmp(precheck_items[i].name, name) == 0)
			return &precheck_items[i];
	return NULL;
}
