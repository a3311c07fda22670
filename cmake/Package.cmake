# The Debian packages, by CPack: cpack -G DEB in a build with WAYBILL_DEB on (tools/make-packages does
# all of it). One package for each component of cmake/Install.cmake.
set(WAYBILL_DEB_REVISION 1 CACHE STRING "Number of the package behind the program's version")
set(WAYBILL_MAINTAINER "Waybill maintainers <maintainers@waybill.example>" CACHE STRING "In the package's control file")
set(WAYBILL_DEB_VERSION ${PROJECT_VERSION}-${WAYBILL_DEB_REVISION})
set(deb ${CMAKE_BINARY_DIR}/packaging)

# Of SOURCE_DATE_EPOCH, as the times in the archives are.
string(TIMESTAMP WAYBILL_DEB_DATE "%a, %d %b %Y %H:%M:%S +0000" UTC)

find_program(GZIP gzip REQUIRED)
function(waybill_compress from to)
    execute_process(COMMAND ${GZIP} -9nc ${from} OUTPUT_FILE ${to} COMMAND_ERROR_IS_FATAL ANY)
endfunction()
configure_file(packaging/debian/changelog.in ${deb}/changelog @ONLY)
waybill_compress(${deb}/changelog ${deb}/changelog.Debian.gz)
waybill_compress(${CMAKE_SOURCE_DIR}/CHANGELOG.md ${deb}/changelog.gz)

# waybill_spdx(NAME COMPONENT TARGETS...): the list of what they are linked to, made of what was linked.
# Each time: libraries are updated, too.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
function(waybill_spdx name component)
    list(TRANSFORM ARGN REPLACE "(.+)" "$<TARGET_FILE:\\1>" OUTPUT_VARIABLE files)
    add_custom_target(${name}.spdx ALL
        COMMAND ${Python3_EXECUTABLE} ${CMAKE_SOURCE_DIR}/tools/make-spdx --build ${CMAKE_BINARY_DIR} --name ${name}
            --version ${WAYBILL_DEB_VERSION} --output ${deb}/${name}.spdx.json ${files}
        DEPENDS ${ARGN} VERBATIM)
    install(FILES ${deb}/${name}.spdx.json DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package_${component}}
        COMPONENT ${component})
endfunction()
set(package_runtime waybill)
set(package_library libwaybill${PROJECT_VERSION_MAJOR})
set(package_dev libwaybill-dev)
waybill_spdx(waybill runtime waybill waybilld)
waybill_spdx(libwaybill library wb_client)

set(CPACK_COMPONENTS_ALL runtime library dev)
get_cmake_property(installed COMPONENTS)
list(REMOVE_ITEM installed ${CPACK_COMPONENTS_ALL})
if(installed)
    message(FATAL_ERROR "install() of the component '${installed}' would be in no package: cmake/Install.cmake names those that are")
endif()
foreach(component ${CPACK_COMPONENTS_ALL})
    install(FILES packaging/debian/${component}.lintian-overrides DESTINATION ${CMAKE_INSTALL_DATADIR}/lintian/overrides
        RENAME ${package_${component}} COMPONENT ${component})
    install(FILES ${deb}/changelog.Debian.gz ${deb}/changelog.gz packaging/debian/copyright
        DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package_${component}} COMPONENT ${component})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME waybill)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT ${WAYBILL_MAINTAINER})
set(CPACK_PACKAGE_DIRECTORY ${CMAKE_BINARY_DIR}/packages)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE
    GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_SET_DESTDIR ON) # /etc lies beside the prefix
set(CPACK_STRIP_FILES ON)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE ${WAYBILL_DEB_REVISION})
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_ENABLE_COMPONENT_DEPENDS OFF)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME waybill)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION net)
set(CPACK_COMPONENT_RUNTIME_DESCRIPTION
"signed delegations and durable traces for AI agents
Waybill is a sidecar beside each AI agent. It mints a signed trace token for
each task that the agent hands to another one over A2A, verifies the tokens
that come in, keeps what is in flight visible, and forwards spans durably to
a store.
.
This package has the sidecar, waybilld, with a template unit for one instance
an agent, and the command line, waybill.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS
    "systemd | systemd-standalone-sysusers | systemd-sysusers, systemd | systemd-standalone-tmpfiles | systemd-tmpfiles")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/debian/postinst
    ${CMAKE_SOURCE_DIR}/packaging/debian/prerm ${CMAKE_SOURCE_DIR}/packaging/debian/postrm ${deb}/conffiles)
file(WRITE ${deb}/conffiles "${CMAKE_INSTALL_FULL_SYSCONFDIR}/waybill/default.yaml\n")

set(CPACK_DEBIAN_LIBRARY_PACKAGE_NAME ${package_library})
set(CPACK_DEBIAN_LIBRARY_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_LIBRARY_PACKAGE_CONTROL_EXTRA ${CMAKE_SOURCE_DIR}/packaging/debian/triggers)
set(CPACK_COMPONENT_LIBRARY_DESCRIPTION
"client of the Waybill sidecar for C and C++ (library)
Spans and signed delegations of an AI agent that is written in C or C++, by
way of the sidecar beside it (package waybill).")

set(CPACK_DEBIAN_DEV_PACKAGE_NAME ${package_dev})
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "${package_library} (= ${WAYBILL_DEB_VERSION})")
set(CPACK_COMPONENT_DEV_DESCRIPTION
"client of the Waybill sidecar for C and C++ (development)
What is needed to build an AI agent with libwaybill: header, pkg-config file,
CMake package.")
include(CPack)
