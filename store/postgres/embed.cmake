# cmake -D OUT=migrations.c -D SQL="a.sql;b.sql" -P embed.cmake: SQL files as C strings, in order.
set(rows "")
foreach(path ${SQL})
    get_filename_component(name ${path} NAME_WE)
    file(READ ${path} text)
    if(NOT text MATCHES "\n-- compatible_with: ([0-9]+)\n")
        message(FATAL_ERROR "${path}: no line \"-- compatible_with: N\"")
    endif()
    set(oldest ${CMAKE_MATCH_1})
    string(REPLACE "\\" "\\\\" text "${text}")
    string(REPLACE "\"" "\\\"" text "${text}")
    string(REPLACE "\n" "\\n\"\n     \"" text "${text}")
    string(APPEND rows "    {\"${name}\", ${oldest},\n     \"${text}\"},\n")
endforeach()
file(WRITE ${OUT} "/* Made from the .sql files of store/postgres; do not edit. */
#include \"store/postgres/migrate.h\"

const wb_pg_migration wb_pg_migrations[] = {
${rows}};
const unsigned wb_pg_migration_count = sizeof wb_pg_migrations / sizeof wb_pg_migrations[0];
")
