# The gRPC project's own interoperability clients and servers, made ready in .build/interop for Scripts/interop, which
# sources this after Scripts/shared/archive.bash. Each function does its work once. Their servers would listen on all
# addresses; what is built here listens on loopback.

place="$PWD/.build/interop"
grpc="$archive/source/grpc"

# on_loopback FILE FROM TO: where a server's source says which address it listens on.
on_loopback() {
    sed -i "s|$2|$3|" "$1"
    grep -q "$3" "$1" || archive_fails "$1 is not as expected: it says nowhere that it listens on '$2'"
}

# python_programs PYTHON: the packages `tests.interop` and `src.proto` in .build/interop/python, for this Python.
python_programs() {
    [ ! -e "$place/python/made" ] || return 0
    local python="$1" tests="$grpc/src/python/grpcio_tests/tests"
    rm -rf "$place/python"
    mkdir -p "$place/python/tests/unit"
    # Without the package's own beginning, which needs the whole of grpcio's test suite.
    cp -r "$tests/interop" "$place/python/tests"
    cp "$tests/unit/test_common.py" "$place/python/tests/unit"
    on_loopback "$place/python/tests/interop/server.py" "'\[::\]:{}'" "'127.0.0.1:{}'" || return
    "$python" -m grpc_tools.protoc --proto_path="$grpc" --python_out="$place/python" \
        --grpc_python_out="$place/python" "$grpc"/src/proto/grpc/testing/{empty,messages,test}.proto
    touch "$place/python/made"
}

# .build/interop/cpp/interop_client and interop_server, with the system's libgrpc++.
cpp_programs() {
    [ ! -x "$place/cpp/interop_server" ] || return 0
    local folder="$place/cpp" testing=src/proto/grpc/testing file libraries
    local client=(test/cpp/interop/{client,client_helper,interop_client}.cc test/core/security/oauth2_utils.cc)
    local server=(test/cpp/interop/{interop_server,interop_server_bootstrap,server_helper}.cc)
    local both=(
        test/cpp/util/{create_test_channel,test_config_cc,test_credentials_provider}.cc
        test/core/util/{build,histogram,stack_tracer,test_config}.cc test/core/event_engine/test_init.cc
        test/core/end2end/data/{client_certs,server1_cert,server1_key,test_root_cert}.cc
    )
    rm -rf "$folder"
    mkdir -p "$folder/protos" "$folder/client" "$folder/server" "$folder/both"
    on_loopback "$grpc/test/cpp/interop/interop_server.cc" '"0\.0\.0\.0:"' '"127.0.0.1:"' || return
    protoc --proto_path="$grpc" --plugin=protoc-gen-grpc="$(command -v grpc_cpp_plugin)" --cpp_out="$folder/protos" \
        --grpc_out="$folder/protos" "$grpc/$testing"/{empty,messages,test}.proto
    {
        for file in "${client[@]}"; do echo "$folder/client/$(basename "$file").o $grpc/$file"; done
        for file in "${server[@]}"; do echo "$folder/server/$(basename "$file").o $grpc/$file"; done
        for file in "${both[@]}"; do echo "$folder/both/$(basename "$file").o $grpc/$file"; done
        for file in {empty,messages,test}.pb.cc test.grpc.pb.cc; do
            echo "$folder/both/$file.o $folder/protos/$testing/$file"
        done
    } | xargs -P "$(nproc)" -n 2 g++ -std=c++17 -w -I"$grpc" -I"$folder/protos" -I"$grpc/src/core/ext/upb-generated" \
        -I"$grpc/third_party/upb" -c -o || return
    read -ra libraries < <(
        pkg-config --libs grpc++ protobuf absl_flags_parse absl_failure_signal_handler absl_symbolize)
    g++ -o "$folder/interop_client" "$folder"/{client,both}/*.o "${libraries[@]}" || return
    g++ -o "$folder/interop_server" "$folder"/{server,both}/*.o "${libraries[@]}"
}

# .build/interop/go/client and server, with the distribution's Go libraries unpacked beside them.
go_programs() {
    [ ! -x "$place/go/server" ] || return 0
    local source="$archive/source/golang-google-grpc"
    archive_source golang-google-grpc || return
    archive_unpack golang-github-golang-protobuf-1-5-dev golang-google-protobuf-dev golang-google-genproto-dev \
        golang-golang-x-oauth2-dev golang-golang-x-oauth2-google-dev golang-golang-x-net-dev \
        golang-golang-x-text-dev golang-golang-x-sys-dev golang-google-cloud-compute-metadata-dev \
        golang-github-google-go-cmp-dev || return
    mkdir -p "$place/go/src/google.golang.org"
    ln -sfn "$source" "$place/go/src/google.golang.org/grpc"
    on_loopback "$source/interop/server/server.go" '"tcp", ":"+p' '"tcp", "127.0.0.1:"+p' || return
    (
        cd "$place/go/src/google.golang.org/grpc" || exit
        export GO111MODULE=off GOCACHE="$place/go/cache" GOPATH="$place/go:$archive/packages/usr/share/gocode"
        go build -o "$place/go/client" ./interop/client && go build -o "$place/go/server" ./interop/server
    )
}
