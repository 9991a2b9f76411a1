#pragma once

/// @file
/// Everything but <levada/async.hpp>, which takes Boost.Asio's headers along. Includes only.

#include <levada/assignor.hpp>
#include <levada/attachment.hpp>
#include <levada/backup.hpp>
#include <levada/bus.hpp>
#include <levada/clock.hpp>
#include <levada/consumer.hpp>
#include <levada/control.hpp>
#include <levada/error.hpp>
#include <levada/inspect.hpp>
#include <levada/job.hpp>
#include <levada/latency_histogram.hpp>
#include <levada/options.hpp>
#include <levada/partitioner.hpp>
#include <levada/producer.hpp>
#include <levada/publishing.hpp>
#include <levada/queue.hpp>
#include <levada/rebalancing.hpp>
#include <levada/record.hpp>
#include <levada/record_batch.hpp>
#include <levada/repair.hpp>
#include <levada/replay.hpp>
#include <levada/requester.hpp>
#include <levada/routing.hpp>
#include <levada/space.hpp>
#include <levada/subscription.hpp>
#include <levada/table.hpp>
#include <levada/table_key.hpp>
#include <levada/topic.hpp>
#include <levada/topic_pattern.hpp>
#include <levada/transaction.hpp>
#include <levada/types.hpp>
#include <levada/version.hpp>
