#pragma once

#include <libpq-fe.h>

#include "base/library.h"

/* libpq's functions, called through the table that postgres_library_open() fills. */
#define POSTGRES_FUNCTIONS(X)                                                                                          \
    X(PQcancel)                                                                                                        \
    X(PQclear)                                                                                                         \
    X(PQconnectPoll)                                                                                                   \
    X(PQconnectStartParams)                                                                                            \
    X(PQconninfoFree)                                                                                                  \
    X(PQconninfoParse)                                                                                                 \
    X(PQconsumeInput)                                                                                                  \
    X(PQerrorMessage)                                                                                                  \
    X(PQfinish)                                                                                                        \
    X(PQflush)                                                                                                         \
    X(PQfreeCancel)                                                                                                    \
    X(PQgetCancel)                                                                                                     \
    X(PQgetResult)                                                                                                     \
    X(PQgetisnull)                                                                                                     \
    X(PQgetvalue)                                                                                                      \
    X(PQisBusy)                                                                                                        \
    X(PQlibVersion)                                                                                                    \
    X(PQnfields)                                                                                                       \
    X(PQntuples)                                                                                                       \
    X(PQresultErrorField)                                                                                              \
    X(PQresultStatus)                                                                                                  \
    X(PQsendPrepare)                                                                                                   \
    X(PQsendQuery)                                                                                                     \
    X(PQsendQueryPrepared)                                                                                             \
    X(PQsetNoticeProcessor)                                                                                            \
    X(PQsetnonblocking)                                                                                                \
    X(PQsocket)                                                                                                        \
    X(PQstatus)                                                                                                        \
    X(PQtransactionStatus)

struct postgres_functions {
    POSTGRES_FUNCTIONS(LIBRARY_POINTER)
};

extern struct postgres_functions postgres_functions;

#define PQcancel postgres_functions.PQcancel
#define PQclear postgres_functions.PQclear
#define PQconnectPoll postgres_functions.PQconnectPoll
#define PQconnectStartParams postgres_functions.PQconnectStartParams
#define PQconninfoFree postgres_functions.PQconninfoFree
#define PQconninfoParse postgres_functions.PQconninfoParse
#define PQconsumeInput postgres_functions.PQconsumeInput
#define PQerrorMessage postgres_functions.PQerrorMessage
#define PQfinish postgres_functions.PQfinish
#define PQflush postgres_functions.PQflush
#define PQfreeCancel postgres_functions.PQfreeCancel
#define PQgetCancel postgres_functions.PQgetCancel
#define PQgetResult postgres_functions.PQgetResult
#define PQgetisnull postgres_functions.PQgetisnull
#define PQgetvalue postgres_functions.PQgetvalue
#define PQisBusy postgres_functions.PQisBusy
#define PQlibVersion postgres_functions.PQlibVersion
#define PQnfields postgres_functions.PQnfields
#define PQntuples postgres_functions.PQntuples
#define PQresultErrorField postgres_functions.PQresultErrorField
#define PQresultStatus postgres_functions.PQresultStatus
#define PQsendPrepare postgres_functions.PQsendPrepare
#define PQsendQuery postgres_functions.PQsendQuery
#define PQsendQueryPrepared postgres_functions.PQsendQueryPrepared
#define PQsetNoticeProcessor postgres_functions.PQsetNoticeProcessor
#define PQsetnonblocking postgres_functions.PQsetnonblocking
#define PQsocket postgres_functions.PQsocket
#define PQstatus postgres_functions.PQstatus
#define PQtransactionStatus postgres_functions.PQtransactionStatus
