#include "storage/page_check.hpp"
namespace levada::storage {
result<main_file_shape> check_main_file(const std::filesystem::path&) { return main_file_shape{4096, 0, 0}; }
result<page_walk> walk_main_file(const std::filesystem::path&) { return page_walk{}; }
}  // namespace levada::storage
