#pragma once

#include <vector>

#include "credentials.hpp"
#include "public_profile.hpp"

namespace live_profile {

/// Who signs up in the demo.
struct member {
  details public_part;
  credentials private_part;
};

/// In the order of their ids, from 1 on.
[[nodiscard]] std::vector<member> sample_members();
/// What one of them changes his credentials to.
[[nodiscard]] credentials with_new_password(const credentials& c);
/// All that nobody is to learn of any of them, be it old or new.
[[nodiscard]] std::vector<secret> sample_secrets();

}  // namespace live_profile
