# What `cmake --install` lays down. A folder installs what it makes, with one of three components:
#   runtime  programs, units, manual pages, documents: the package waybill
#   library  libwaybill.so.N: the package libwaybill0
#   dev      its headers, pkg-config and CMake files: the package libwaybill-dev

set(WAYBILL_UNIT_DIR lib/systemd/system CACHE STRING "Where systemd's units go, below the prefix")
set(WAYBILL_SYSUSERS_DIR lib/sysusers.d CACHE STRING "Where sysusers.d files go, below the prefix")
set(WAYBILL_TMPFILES_DIR lib/tmpfiles.d CACHE STRING "Where tmpfiles.d files go, below the prefix")

install(TARGETS waybill waybilld RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT runtime)

configure_file(packaging/waybilld@.service.in ${CMAKE_BINARY_DIR}/packaging/waybilld@.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/packaging/waybilld@.service DESTINATION ${WAYBILL_UNIT_DIR} COMPONENT runtime)
install(FILES packaging/sysusers.conf DESTINATION ${WAYBILL_SYSUSERS_DIR} RENAME waybill.conf COMPONENT runtime)
install(FILES packaging/tmpfiles.conf DESTINATION ${WAYBILL_TMPFILES_DIR} RENAME waybill.conf COMPONENT runtime)
install(FILES packaging/default.yaml DESTINATION ${CMAKE_INSTALL_FULL_SYSCONFDIR}/waybill COMPONENT runtime)

# docs/README.md is the README of the installed pages too.
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime FILES_MATCHING PATTERN "*.md"
    PATTERN "alerts.yml" PATTERN "waybill.json")
install(FILES SECURITY.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
if(NOT WAYBILL_DEB) # Debian has both elsewhere: cmake/Package.cmake
    install(FILES LICENSE CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT runtime)
endif()
