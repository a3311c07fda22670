# What of sidecar/sandbox is built. Sanitized builds have none of it: their runtimes open files, fork
# and map memory as they please.
include(CheckIncludeFile)
pkg_check_modules(SECCOMP IMPORTED_TARGET libseccomp>=2.5)
check_include_file(linux/landlock.h WAYBILL_HAS_LANDLOCK_H)

set(landlock_here ON)
set(seccomp_here OFF)
if(WAYBILL_SANITIZE OR NOT WAYBILL_HAS_LANDLOCK_H)
    set(landlock_here OFF)
endif()
if(SECCOMP_FOUND AND NOT WAYBILL_SANITIZE
   AND EXISTS ${CMAKE_SOURCE_DIR}/sidecar/sandbox/sigsys_${CMAKE_SYSTEM_PROCESSOR}.c)
    set(seccomp_here ON)
endif()
option(WAYBILL_LANDLOCK "Restrict the running sidecar's files by Landlock" ${landlock_here})
option(WAYBILL_SECCOMP "Restrict the running sidecar's system calls by seccomp" ${seccomp_here})
