# SPDX-License-Identifier: Apache-2.0
"""The package's version, which is also the sidecar's: a test holds it against CMakeLists.txt."""

VERSION = "0.1.0"
