#pragma once

/// @file
/// The version, in one place: CMakeLists.txt reads it from here.
///
/// Before 1.0 every minor version may change the interface and the stored format.

#define LEVADA_VERSION_MAJOR 0
#define LEVADA_VERSION_MINOR 1
#define LEVADA_VERSION_PATCH 0
