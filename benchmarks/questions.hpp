#pragma once

/// @file
/// The questions, one file each.

namespace levada::bench {

class suite;

/// What does one durable publish cost beside the commit of the same row?
void ask_durable_publish(suite& s);
/// What is left of LMDB's rate when many records share a commit, from one thread and from eight?
void ask_grouped_publish(suite& s);
/// What is left of LMDB's rate where commits are not flushed, and checkpoints make them durable?
void ask_checkpointed_publish(suite& s);
/// What is left of the batch API's rate when a producer collects the records?
void ask_producer_publish(suite& s);
/// How fast does a consumer group read, beside a cursor over the same rows?
void ask_consume(suite& s);
/// How fast is a pass over a whole topic, beside a cursor over the same rows?
void ask_replay(suite& s);
/// What do more threads bring to passes over sealed partitions?
void ask_parallel_replay(suite& s);

/// How long does a record take to another thread?
void ask_delivery_latency(suite& s);
/// How well do publishers share a flush?
void ask_many_publishers(suite& s);
/// What do consumers cost that wait?
void ask_groups_at_rest(suite& s);
/// What do publishers notice of a process that reads along, and of copies?
void ask_bystanders(suite& s);
/// How fast are the queues of a routing key found, and does it last with many bindings?
void ask_routing(suite& s);
/// What does each queue add to a message, in time and on the disk?
void ask_fan_out(suite& s);
/// How late do messages come that were published with a delay, and what do those take that wait?
void ask_delayed(suite& s);
/// How fast does a queue get what was published before it was bound, and who notices?
void ask_backfill(suite& s);
/// How fast is a queue from end to end?
void ask_work_queue(suite& s);
/// What is left of that where it is noted what becomes of each message?
void ask_flow_ledger(suite& s);

// Those that write gigabytes.

/// How much of the disk's own rate is left for long, and does it last?
void ask_sustained_publish(suite& s);
/// What do publishes, openings and memory cost in larger stores?
void ask_cost_with_size(suite& s);
/// What does a queue of millions of messages cost when it is opened, and in memory?
void ask_deep_queue(suite& s);
/// What do publishers notice when another topic is deleted?
void ask_topic_deletion(suite& s);
/// How much disk does a topic take whose size is limited?
void ask_retention_space(suite& s);
/// Would a preallocated write-ahead file make synced commits cheaper?
void ask_write_ahead_file(suite& s);
/// Would very large commits be cheaper if they went straight into a segment?
void ask_large_commits(suite& s);

}  // namespace levada::bench
