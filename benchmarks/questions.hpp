#pragma once

/// @file
/// The questions, one file each.

namespace levada::bench {

class suite;

/// What does one durable publish cost beside the commit of the same row?
void ask_durable_publish(suite& s);
/// What is left of LMDB's rate when many records share a commit, from one thread and from eight?
void ask_grouped_publish(suite& s);
/// How fast does a consumer group read, beside a cursor over the same rows?
void ask_consume(suite& s);
/// How fast is a pass over a whole topic, beside a cursor over the same rows?
void ask_replay(suite& s);

}  // namespace levada::bench
