#pragma once
#include <levada/error.hpp>
#include <levada/inspect.hpp>
#include <filesystem>
namespace levada::storage {
struct main_file_shape { std::uint64_t page_size; std::uint64_t last_page; std::uint64_t transaction; };
result<main_file_shape> check_main_file(const std::filesystem::path& data_file);
struct page_walk { std::uint64_t pages = 0; std::vector<store_problem> problems; };
result<page_walk> walk_main_file(const std::filesystem::path& data_file);
}
