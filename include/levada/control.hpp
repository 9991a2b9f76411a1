#pragma once

/// @file
/// Changing groups from outside of the process that owns a store.

#include <filesystem>
#include <string_view>
#include <vector>

#include <levada/error.hpp>
#include <levada/export.hpp>
#include <levada/inspect.hpp>
#include <levada/options.hpp>

namespace levada {

/// `bus::reset_offsets` on the store in `directory`, whoever owns it. Where nobody does, this process opens
/// it for the moment, as `how` says but never makes one. Where a process does, it is asked to do it, at the
/// socket that `bus_options::control_socket` makes it listen at; any process of the same user may ask, the
/// owner itself too, but not within the function of `bus::transact`.
///
/// Fails with what the call of the bus fails with, or opening: so with `store_not_found`, and `store_in_use`,
/// naming the owner's pid, where the owner does not listen. Nothing has been done either where the owner
/// cannot be reached within 30 s, `out_of_resources`, or is just giving the store up, `closed`. Where it has
/// been asked, and goes away or says nothing for 30 s, the error is `outcome_unknown`: a dry run tells
/// whether it has been done. From any thread.
[[nodiscard]] LEVADA_EXPORT result<std::vector<offset_change>> reset_offsets(
    const std::filesystem::path& directory, std::string_view group, std::string_view topic,
    const offset_reset_options& options, const bus_options& how = {});

/// `bus::delete_group` in the same way.
[[nodiscard]] LEVADA_EXPORT result<void> delete_group(const std::filesystem::path& directory,
                                                      std::string_view group,
                                                      const group_deletion_options& options = {},
                                                      const bus_options& how = {});

}  // namespace levada
