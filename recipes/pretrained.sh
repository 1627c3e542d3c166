# Sourced by recipes that start from pretrained weights: they are found, converted once, and described.

PRETRAINED="${PRETRAINED:-}"
PRETRAINED_DIR="${PRETRAINED_DIR:-$ROOT/runs/pretrained}"
PRETRAINED_URL="${PRETRAINED_URL:-https://dl.fbaipublicfiles.com/fairseq/models}"

# usual_checkpoint ARCH: what it starts from where PRETRAINED is unset: an address, a Hub id or none.
usual_checkpoint() {
    case "$1" in
        palbert_*_tiny) echo none ;;
        palbert_roberta | palbert_roberta_base) echo "$PRETRAINED_URL/roberta.base.tar.gz" ;;
        palbert_roberta_large) echo "$PRETRAINED_URL/roberta.large.tar.gz" ;;
        palbert_bert | palbert_bert_base) echo google-bert/bert-base-uncased ;;
        palbert_bert_large) echo google-bert/bert-large-uncased ;;
        palbert_bert_minilm_l6) echo sentence-transformers/all-MiniLM-L6-v2 ;;
        palbert_mpnet*) echo sentence-transformers/all-mpnet-base-v2 ;;
        palbert_albert) echo albert/albert-base-v2 ;;
        palbert_albert_*_v1) preset="${1#palbert_albert_}" && echo "albert/albert-${preset%_v1}-v1" ;;
        palbert_albert_*) echo "albert/albert-${1#palbert_albert_}-v2" ;;
        *) die "ARCH=$1 has no usual checkpoint: name one in PRETRAINED, or none to start from scratch" ;;
    esac
}

# check_pretrained: PRETRAINED is a file, a folder, an address, a Hub id, or none.
check_pretrained() {
    [[ -z "$PRETRAINED" || -e "$PRETRAINED" || "$PRETRAINED" = *://* ]] && return
    [[ "$PRETRAINED" =~ ^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9._-]+)?$ && ! "$PRETRAINED" =~ \.(pt|bin|gz|safetensors)$ ]] ||
        die "PRETRAINED=$PRETRAINED is no file, no folder and no Hub id (nor none, to start from scratch)"
}

# converted_folder SOURCE: where its conversion stands, under a name that no other source, and no later content, has.
converted_folder() {
    local identity="$1" name
    if [[ -e "$1" ]]; then
        identity="$(realpath "$1") $(find -L "$1" -maxdepth 1 -type f -printf '%f %s %T@\n' | LC_ALL=C sort)"
    fi
    name="$(basename "$1")"
    name="${name%.gz}"
    name="${name%.tar}"
    printf '%s/%s-%.12s\n' "$PRETRAINED_DIR" "${name%.pt}" "$(sha256sum <<<"$identity")"
}

# convert SOURCE FOLDER: one at a time; fetches an address first, and RoBERTa's vocabulary for fairseq's, which bring none.
convert() {
    local source="$1" folder="$2" lock vocabulary=()
    exec {lock}>"$folder.lock"
    if command -v flock >/dev/null; then
        flock "$lock"
    fi
    if [[ ! -d "$folder" ]]; then
        if [[ "$source" = *://* ]]; then
            source="$folder.download/$(basename "$1")"
            "$VENV/bin/python" -m preprocess.download --url "$1" --out "$source"
        fi
        if [[ -z "${VOCAB_DIR:-}" && (-f "$source" || (-f "$source/model.pt" && ! -f "$source/config.json")) ]]; then
            vocabulary=(--vocab "$folder.download")
            "$VENV/bin/python" -m preprocess.download --vocab --out "$folder.download"
        fi
        "$VENV/bin/python" -m fairseq_palbert.checkpoints.convert "$source" --out "$folder" "${vocabulary[@]}"
        rm -rf "$folder.download"
    fi
    exec {lock}>&-
}

# convert_once SOURCE: sets CONVERTED to the folder of its conversion, which is made where it is not there.
convert_once() {
    mkdir -p "$PRETRAINED_DIR" 2>/dev/null || die "cannot write to PRETRAINED_DIR=$PRETRAINED_DIR"
    PRETRAINED_DIR="$(cd "$PRETRAINED_DIR" && pwd)"
    CONVERTED="$(converted_folder "$1")"
    if [[ ! -d "$CONVERTED" ]]; then
        wanted 1 || die "$1 has not been converted yet: run stage 1 first"
        log "stage 1, converting $1 to $CONVERTED"
        convert "$1" "$CONVERTED" >&2
    fi
}

# find_pretrained: sets ARCH, and for a start from pretrained weights CHECKPOINT, VOCABULARY and ENCODER_FLAGS.
find_pretrained() {
    local source="$PRETRAINED" described theirs
    CHECKPOINT="" VOCABULARY="" ENCODER_FLAGS=()
    if [[ -z "$source" || "$source" = none ]]; then
        ARCH="${ARCH:-palbert_roberta_tiny}"
        source="${source:-$(usual_checkpoint "$ARCH")}"
    fi
    [[ "$source" != none ]] || return 0
    described="$("$VENV/bin/python" "$ROOT/recipes/pretrained.py" "$source")"
    if [[ -z "$described" ]]; then
        convert_once "$source"
        described="$("$VENV/bin/python" "$ROOT/recipes/pretrained.py" "$CONVERTED")"
    fi
    mapfile -t ENCODER_FLAGS <<<"$described"
    theirs="${ENCODER_FLAGS[0]}" CHECKPOINT="${ENCODER_FLAGS[1]}" VOCABULARY="${ENCODER_FLAGS[2]}"
    ENCODER_FLAGS=("${ENCODER_FLAGS[@]:3}")
    if [[ -n "${ARCH:-}" && "$ARCH" != "$theirs" ]]; then
        [[ "$(family_of "$ARCH")" = "$(family_of "$theirs")" ]] ||
            die "ARCH=$ARCH does not go with $source, which is a $theirs: leave ARCH out, or choose another PRETRAINED"
        ENCODER_FLAGS=()  # ARCH rules, and training refuses a checkpoint that does not fit it
    fi
    ARCH="${ARCH:-$theirs}"
}

# family_of ARCH: palbert_bert_base -> palbert_bert
family_of() {
    cut -d _ -f 1-2 <<<"$1"
}

# runs_folder: where the runs of ARCH and METHOD go, one folder a task.
runs_folder() {
    local folder="$ROOT/runs/$ARCH"
    [[ "$METHOD" = palbert ]] || folder+="/$METHOD"
    echo "$folder"
}

# find_vocabulary: sets VOCABULARY where the start has none of its own; RoBERTa's is downloaded into RUN_DIR where it must be.
find_vocabulary() {
    local -A folders=([palbert_roberta]=gpt2_bpe [palbert_bert]=bert [palbert_albert]=albert [palbert_mpnet]=mpnet)
    local family folder
    [[ -z "$VOCABULARY" ]] || return 0
    family="$(family_of "$ARCH")"
    if [[ -n "${VOCAB_DIR:-}" ]]; then
        folder="$VOCAB_DIR/${folders[$family]:-}"
        if [[ -d "$folder" ]]; then VOCABULARY="$folder"; else VOCABULARY="$VOCAB_DIR"; fi
    elif [[ "$family" = palbert_roberta ]]; then
        VOCABULARY="$RUN_DIR/vocab"
        "$VENV/bin/python" -m preprocess.download --vocab --out "$VOCABULARY"
    else
        die "ARCH=$ARCH needs a vocabulary: name its folder in VOCAB_DIR, or a checkpoint that brings one in PRETRAINED"
    fi
}
