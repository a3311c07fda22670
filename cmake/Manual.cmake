# The manual pages and the shells' completion, each written by the program that it is about. Pages are
# compressed as Debian wants them, without a time in them: two builds give the same bytes.
include(GNUInstallDirs)
find_program(GZIP gzip REQUIRED)

set(man_dir ${CMAKE_BINARY_DIR}/man) # man -M reads it as it is
set(completion_dir ${CMAKE_BINARY_DIR}/completion)
file(MAKE_DIRECTORY ${man_dir}/man8 ${completion_dir})

add_custom_command(OUTPUT ${man_dir}/man1/waybill.1.gz
    COMMAND ${CMAKE_COMMAND} -E rm -rf ${man_dir}/man1 # no page of a verb that is gone
    COMMAND ${CMAKE_COMMAND} -E make_directory ${man_dir}/man1
    COMMAND waybill manual --into ${man_dir}/man1
    COMMAND sh -c "\"$0\" -9n \"$1\"/*.1" ${GZIP} ${man_dir}/man1
    DEPENDS waybill VERBATIM)
add_custom_command(OUTPUT ${man_dir}/man8/waybilld.8.gz
    COMMAND sh -c "\"$0\" --print-manual | \"$1\" -9n >\"$2\"" $<TARGET_FILE:waybilld> ${GZIP}
        ${man_dir}/man8/waybilld.8.gz
    DEPENDS waybilld VERBATIM)
add_custom_command(OUTPUT ${completion_dir}/waybill ${completion_dir}/_waybill
    COMMAND sh -c "\"$0\" completion bash >\"$1/waybill\" && \"$0\" completion zsh >\"$1/_waybill\""
        $<TARGET_FILE:waybill> ${completion_dir}
    DEPENDS waybill VERBATIM)
add_custom_target(manual ALL DEPENDS ${man_dir}/man1/waybill.1.gz ${man_dir}/man8/waybilld.8.gz
    ${completion_dir}/waybill ${completion_dir}/_waybill)

install(DIRECTORY ${man_dir}/man1 ${man_dir}/man8 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT runtime)
install(FILES ${completion_dir}/waybill
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions COMPONENT runtime)
install(FILES ${completion_dir}/_waybill
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT runtime)
