#include <levada/assignor.hpp>

namespace levada {

assignor::~assignor() = default;

}  // namespace levada
