# waybill_protobuf(TARGET file.proto ...): generate protobuf-c sources below ${CMAKE_BINARY_DIR}/gen,
# so that an include reads like the path of its .proto file, and add them to TARGET.
find_program(PROTOC_C protoc-c REQUIRED)

function(waybill_protobuf target)
    foreach(source ${ARGN})
        file(RELATIVE_PATH relative ${CMAKE_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/${source})
        string(REGEX REPLACE "\\.proto$" ".pb-c" stem ${relative})
        set(outputs ${CMAKE_BINARY_DIR}/gen/${stem}.c ${CMAKE_BINARY_DIR}/gen/${stem}.h)
        add_custom_command(OUTPUT ${outputs}
            COMMAND ${CMAKE_COMMAND} -E make_directory ${CMAKE_BINARY_DIR}/gen
            COMMAND ${PROTOC_C} --c_out=${CMAKE_BINARY_DIR}/gen -I ${CMAKE_SOURCE_DIR} ${relative}
            WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
            DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${source})
        set_source_files_properties(${outputs} PROPERTIES COMPILE_OPTIONS "-w")
        target_sources(${target} PRIVATE ${outputs})
    endforeach()
endfunction()
