#pragma once
#include <curl/curl.h>

// curl_easy_setopt(3) and curl_easy_getinfo(3) are variadic, which Swift does not import: one function for each type of
// value.
static inline CURLcode hearth_curl_set_number(CURL *curl, CURLoption option, long value) {
    return curl_easy_setopt(curl, option, value);
}
// libcurl copies the text, but not that of CURLOPT_POSTFIELDS; CURLOPT_COPYPOSTFIELDS copies it. Null resets the option.
static inline CURLcode hearth_curl_set_text(CURL *curl, CURLoption option, const char *value) {
    return curl_easy_setopt(curl, option, value);
}
// The list must outlive the request.
static inline CURLcode hearth_curl_set_header_fields(CURL *curl, struct curl_slist *list) {
    return curl_easy_setopt(curl, CURLOPT_HTTPHEADER, list);
}
// At least CURL_ERROR_SIZE bytes, which must outlive the request.
static inline CURLcode hearth_curl_set_error_text(CURL *curl, char *buffer) {
    return curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, buffer);
}

// Called with each piece of a body, and with each line of a header; returns how many bytes it took, and anything else than
// all of them ends the request.
typedef size_t (*hearth_curl_taker)(char *bytes, size_t size, size_t count, void *context);
static inline CURLcode hearth_curl_on_body(CURL *curl, hearth_curl_taker take, void *context) {
    CURLcode result = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    return result == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_WRITEDATA, context) : result;
}
static inline CURLcode hearth_curl_on_header(CURL *curl, hearth_curl_taker take, void *context) {
    CURLcode result = curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take);
    return result == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_HEADERDATA, context) : result;
}
// The result of the only request of a handle for several (curl_multi_info_read(3)); CURLE_ABORTED_BY_CALLBACK: it goes on.
static inline CURLcode hearth_curl_result(CURLM *multi) {
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));)
        if (message->msg == CURLMSG_DONE) return message->data.result;
    return CURLE_ABORTED_BY_CALLBACK;
}
// Waits until the requests can go on, `descriptor` can be read (-1: none), or the time is over (curl_multi_poll(3)).
static inline CURLMcode hearth_curl_wait(CURLM *multi, int descriptor, int milliseconds) {
    struct curl_waitfd other = {.fd = descriptor, .events = CURL_WAIT_POLLIN};
    return curl_multi_poll(multi, &other, descriptor < 0 ? 0 : 1, milliseconds, NULL);
}
