# llama.cpp's sources, as PyPI's source package of llama-cpp-python has them, for scripts that source this. Its Python is not
# run. Needs bash, and a python3 with pip that reaches its package index.

llama_version=0.3.36
llama_sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e

# fetch_llama FOLDER: downloads the package (77 MB), checked against its hash, into a folder that is there; sets `llama_archive`.
# Says on standard error what is wrong, and returns 1 then.
fetch_llama() {
    local folder="$1"
    echo "llama-cpp-python==$llama_version --hash=sha256:$llama_sha256" >"$folder/requirements.txt"
    python3 -m pip download --disable-pip-version-check --no-deps --no-binary llama-cpp-python --require-hashes \
        --dest "$folder" --requirement "$folder/requirements.txt" >"$folder/download.log" 2>&1 || {
        tail -n 15 "$folder/download.log" >&2
        echo "the download failed; check that pip reaches its package index (pip config list shows which)" >&2
        return 1
    }
    llama_archive="$folder/llama_cpp_python-$llama_version.tar.gz"
    echo "$llama_sha256  $llama_archive" | sha256sum --check --quiet || {
        echo "$llama_archive is not what was expected; remove it" >&2
        return 1
    }
}
