#include "members.hpp"

namespace live_profile {
namespace {

secret hash_of(const char* salt_and_hash) {
  return secret{std::string{"$argon2id$v=19$m=65536,t=3,p=4$"} + salt_and_hash};
}

}  // namespace

std::vector<member> sample_members() {
  constexpr auto status = "just arrived";
  return {
      {{"Ada Lovelace", status}, {secret{"ada@example.org"}, hash_of("b2NrQW$5bG92ZWxhY2U")}},
      {{"Grace Hopper", status}, {secret{"grace@example.org"}, hash_of("Y29ib2$wODc4NzY1Ng")}},
      {{"Edsger Dijkstra", status}, {secret{"edsger@example.org"}, hash_of("Z290bw$aGFybWZ1bA")}},
  };
}

credentials with_new_password(const credentials& c) {
  return {c.mail_address, hash_of("bmV3$cGFzc3dvcmQ")};
}

std::vector<secret> sample_secrets() {
  std::vector<secret> all;
  for (const auto& m : sample_members()) {
    all.push_back(m.private_part.mail_address);
    all.push_back(m.private_part.password_hash);
  }
  all.push_back(with_new_password({}).password_hash);
  return all;
}

}  // namespace live_profile
