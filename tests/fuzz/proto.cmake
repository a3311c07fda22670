include(${CMAKE_CURRENT_SOURCE_DIR}/support/otlp_oracle.cmake)

foreach(target otlp_json otlp_walk span_batch ipc_message)
    waybill_fuzz(${target}_fuzz SOURCES ${CMAKE_CURRENT_SOURCE_DIR}/fuzz/${target}_fuzz.c
        LIBS wb_proto wb_otlp_oracle)
endforeach()
