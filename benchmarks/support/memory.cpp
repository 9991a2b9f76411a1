#include "support/memory.hpp"

#include <fstream>
#include <stdexcept>
#include <string>

namespace levada::bench {

double anonymous_bytes() {
  std::ifstream status{"/proc/self/status"};
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stod(line.substr(line.find(':') + 1)) * 1024;
  }
  throw std::runtime_error{"/proc/self/status has no RssAnon"};
}

}  // namespace levada::bench
