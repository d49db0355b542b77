#!/bin/bash
# Functions are called through in_home and by traps, too.
# shellcheck disable=SC2317
#
# restore_maia.sh brings a Maia back from its backups (the folder MaiaBackups) with what a fresh Mac has: bash 3.2,
# awk, tar, gzip, openssl, perl or zsh, and sqlite3.        bash restore_maia.sh --help        says how it is used.
#
#   index -> compare with the target -> plan -> chunks -> streams -> files in scratch, verified -> target
#
# What a reader of this file should know:
# - The index (restore.index.gz) is the authority. A tar is only a bag of bytes: it is unpacked in scratch, and what
#   leaves scratch is what the index names, with the type, the hash, the mode and the time that the index gives.
# - Names are data. In work files they are encoded (\0ooo for each odd byte, never a space), they are decoded only to
#   be handed to a tool, always quoted and behind a folder, and they are never printed undecoded-and-unchecked.
# - Nothing in the target is overwritten: what differs moves to TARGET.before-restore-STAMP, the rest stays.
# - Scratch lies in the target (.maia-restore.partial), so that putting files in place is a rename.
# - Only what the vault's password has proven goes into the home. There it is a second target: in_home does with it what
#   is done with the first, with lists of its own.
# - This file may change while it runs (OneDrive syncs it): all of it is functions, and the last line calls them.

if [ -z "${BASH_VERSION:-}" ]; then
  echo 'This script needs bash. Run it as: bash restore_maia.sh' >&2
  exit 2
fi

set -u -o pipefail

# Exit codes, shared with maia-dr.
readonly DONE=0 FAILED=1 USAGE=2 INCOMPLETE=3 NOT_FOUND=10 BUSY=11 WRONG_PASSWORD=12 CANCELLED=130
# An index larger than this, as gzip and unpacked, is no index of ours; nor is one that unpacks to more than 1 MiB and
# 256 times its bytes.
readonly MAX_INDEX_GZ=67108864 MAX_INDEX=536870912
# An index with more files than this would fill the memory.
readonly MAX_ENTRIES=4000000
# In the target: who restores there, as the target of a link. maia-dr takes the same lock.
readonly LOCK_NAME=.maia-restore.lock
readonly COMPONENTS='maia_code maia_data_small maia_data_large launchagents dependencies shell_configs secrets system_metadata'
# A backup older than this is worth a second thought.
readonly OLD_SECONDS=172800
# The SHA-256 of nothing, to see that openssl works.
readonly SHA256_OF_NOTHING=e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855

# Homebrew's own installer, and how many seconds the Command Line Tools may take.
readonly HOMEBREW_INSTALLER=https://raw.githubusercontent.com/Homebrew/install/HEAD/install.sh TOOLS_LIMIT=1800

# Options.
BACKUP='' REPOSITORY='' TO='' DEFAULT_PLACE='' TARGET_HOME='' ONLY='' VAULT_PASSWORD_FILE=''
MAPS=0 MAP_OLD=() MAP_NEW=() HOME_GIVEN='' NO_PACKAGES='' NO_AGENTS='' NO_GIT='' DOWNLOAD_LIMIT='' DRY_RUN='' YES=''
# What check_tools found out about this machine.
WRITER='' STAT='' DATE='' TOUCH='' TAR='' SQLITE=''
# Folders: small lists, large data, what was in the way. Empty until they exist.
WORK='' SCRATCH='' LOCK='' BEFORE='' CREATED_TO=() STAMP='' UMASK=''
# The same whatever the target at hand is: what clean_up removes.
MAIN_WORK='' MAIN_TO='' SCRATCHES=()
# The chosen backup.
REPO='' ID='' DEFAULT_ID='' ROOT='' HOME_THEN='' CREATED=0
# Below the target, by names that the backup leaves free: where personal files are laid, and where everything is built.
BESIDE='' SCRATCH_NAME=''
# The home as a target: whether it is one, names in it, and what is put before the names of what is shown.
INTO_HOME='' HOME_SCRATCH='' HOME_SCRATCH_NAME='' HOME_ASIDE='' SHOW_UNDER=''
# The vault: whether the index is authentic, and if not, why, and whether other backups have a vault; whether the vault is open, and if not, why.
AUTHENTICATED='' UNPROVEN='' STRIPPED='' VAULT='' CLOSED='' VAULT_BYTES='' VAULT_SUM='' ITERATIONS='' SALT='' MAC=''
# Phases that can be done alone: whether one was asked for, and which.
ONLY_PHASES='' ONLY_PACKAGES='' ONLY_GIT=''
# Git: where the root's repository stood; why it is not brought back; the program, the folder it is made in, and the process
# that a time limit is on.
HEAD='' BRANCH='' CHANGED=0 UNKNOWN=0 UNPUSHED=0 STASHES=0 NO_HISTORY='' GIT='' GIT_RUN='' GIT_MAKING='' CHILD=''
# Packages: whether to install them, and what with.
INSTALL='' BREW='' PYTHON=''
# How the terminal was before it hid what is typed.
HIDDEN=''
# What came of it.
NEED=0 FREE=0 DOWNLOAD=0 RESTORED=0 RESTORED_BYTES=0 DATABASES=0

# ---------------------------------------------------------------------------------------------------------------------
# Words

say() { printf '%s\n' "$*"; }
note() { printf '%s\n' "$*" >&2; }

# die CODE TEXT [WHAT TO DO]
die() {
  note "restore_maia.sh: $2"
  if [ $# -gt 2 ]; then
    note "What to do: $3"
  fi
  exit "$1"
}

# show ENCODED: the name as a person may read it, in REPLY. One with control characters stays encoded, and one with those that
# turn the direction of writing or end a line (U+200E, U+2028 and the like): it could repaint the terminal, or read as another.
show() {
  case $1 in
    *\\00[0-3][0-7]* | *\\0177* | *\\0302\\02[0-3][0-7]*) REPLY=$1 ;;
    *\\0342\\0200\\021[67]* | *\\0342\\0200\\025[0-6]* | *\\0342\\0201\\024[67]* | *\\0342\\0201\\025[01]* | *\\0330\\0234*) REPLY=$1 ;;
    *) printf -v REPLY '%b' "$1" ;;
  esac
}

# show_place ENCODED: a place below the target, or in the home if it goes there.
show_place() {
  show "$1"
  if [ -n "$INTO_HOME" ]; then
    case $REPLY in "$BESIDE"/home/*) REPLY=$TARGET_HOME/${REPLY#"$BESIDE"/home/} ;; esac
  fi
}

# size BYTES: 348.2 MB, in REPLY.
size() {
  local unit=bytes scale=1
  if [ "$1" -ge 1000000000 ]; then
    unit=GB scale=1000000000
  elif [ "$1" -ge 1000000 ]; then
    unit=MB scale=1000000
  elif [ "$1" -ge 1000 ]; then
    unit=kB scale=1000
  else
    REPLY="$1 bytes"
    return
  fi
  local tenths=$((($1 * 10 + scale / 2) / scale))
  REPLY="$((tenths / 10)).$((tenths % 10)) $unit"
}

# count N ONE MANY: "1 file", "2 files", in REPLY.
count() {
  if [ "$1" -eq 1 ]; then REPLY="1 $2"; else REPLY="$1 $3"; fi
}

# age SECONDS: "3 hours", in REPLY.
age() {
  if [ "$1" -lt 120 ]; then
    count "$1" second seconds
  elif [ "$1" -lt 7200 ]; then
    count $(($1 / 60)) minute minutes
  elif [ "$1" -lt 172800 ]; then
    count $(($1 / 3600)) hour hours
  else
    count $(($1 / 86400)) day days
  fi
}

# ask QUESTION: the answer, in REPLY. Questions go to the terminal, wherever the output goes.
ask() {
  printf '%s' "$1" > /dev/tty
  IFS= read -r REPLY < /dev/tty || die "$CANCELLED" 'cancelled: no answer.' 'run the same command again. Nothing was written.'
}

has_terminal() { { : < /dev/tty; } 2> /dev/null; }

usage() {
  cat << 'END'
Usage: bash restore_maia.sh [options]

Brings a Maia back from its backups. Prints a plan and asks before it writes anything.

  --backup ID                 the backup, or the beginning of its name (default: the newest complete one)
  --repository DIR            the folder MaiaBackups (default: where this script lies, else in OneDrive)
  --to DIR                    the folder that becomes the Maia root (asked for if missing)
  --target-home DIR           the home that agents and shell files go to (default: yours)
  --only COMPONENT,...        restore only these: maia_code maia_data_small maia_data_large launchagents
                              dependencies shell_configs secrets system_metadata; or packages, git, which restore no
                              file: install what is not installed yet, bring back the git history
  --map OLD=NEW               an old path and its new one, for agents and shell files; may be repeated (those of Maia,
                              the home and Homebrew are known)
  --vault-password-file FILE  the password of the vault; - is standard input
  --no-packages               install no packages
  --no-agents                 load no LaunchAgents
  --download-limit SECONDS    how long OneDrive may take for one file (default: 120, and longer for large ones)
  --no-git                    leave the git history out: contact none of its remotes
  --dry-run                   print the plan and write nothing
  --yes                       ask nothing
  --help                      this text

Files in the way that differ are moved to DIR.before-restore-DATE_TIME; equal ones and strangers stay. Run it again
after an interruption: what is in place stays.

Exit codes: 0 done, 1 failed, 2 usage, 3 done but something is missing, 10 no repository found,
            11 another restore is running there, 12 wrong or missing password, 130 cancelled
END
}

# ---------------------------------------------------------------------------------------------------------------------
# Options

wrong_usage() { die "$USAGE" "$1" 'bash restore_maia.sh --help lists the options.'; }

parse_arguments() {
  local name value given
  while [ $# -gt 0 ]; do
    name=$1 value='' given=''
    shift
    case $name in
      --*=*)
        value=${name#*=} name=${name%%=*} given=yes
        ;;
    esac
    case $name in
      --backup | --repository | --to | --target-home | --only | --map | --vault-password-file | --download-limit)
        if [ -z "$given" ]; then
          [ $# -gt 0 ] || wrong_usage "$name needs a value."
          value=$1
          shift
        fi
        [ -n "$value" ] || wrong_usage "$name needs a value."
        ;;
      *)
        [ -z "$given" ] || wrong_usage "$name takes no value, or is no option."
        ;;
    esac
    case $name in
      --backup) BACKUP=$value ;;
      --repository) REPOSITORY=$value ;;
      --to) TO=$value ;;
      --target-home) TARGET_HOME=$value HOME_GIVEN=yes ;;
      --only) ONLY="$ONLY $value" ;;
      --map)
        without_slash "${value%%=*}"
        MAP_OLD[MAPS]=$REPLY
        without_slash "${value#*=}"
        MAP_NEW[MAPS]=$REPLY
        case $value in *=*) ;; *) REPLY='' ;; esac
        if [ -z "${MAP_OLD[MAPS]}" ] || [ -z "$REPLY" ]; then wrong_usage "--map $value is not OLD=NEW, two absolute paths."; fi
        MAPS=$((MAPS + 1))
        ;;
      --vault-password-file) VAULT_PASSWORD_FILE=$value ;;
      --download-limit)
        DOWNLOAD_LIMIT=$value
        case $value in *[!0-9]* | 0* | ??????*) wrong_usage "--download-limit $value is no number of seconds." ;; esac
        ;;
      --no-packages) NO_PACKAGES=yes ;;
      --no-agents) NO_AGENTS=yes ;;
      --no-git) NO_GIT=yes ;;
      --dry-run) DRY_RUN=yes ;;
      --yes) YES=yes ;;
      --help | -h)
        usage
        exit "$DONE"
        ;;
      */MaiaBackups/*)
        # OneDrive* names the folders of several accounts: the shell put them all into the command.
        die "$USAGE" "there is more than one MaiaBackups: ${name%/*} is one of them." "name one folder in the place of the *: bash '$name'"
        ;;
      *) wrong_usage "there is no option $name." ;;
    esac
  done
  check_options
}

# without_slash PATH: an absolute path without slashes at its end, in REPLY; empty if it is none.
without_slash() {
  REPLY=$1
  case $REPLY in /*) ;; *) REPLY='' ;; esac
  while [ "${REPLY%/}" != "$REPLY" ]; do REPLY=${REPLY%/}; done
}

check_options() {
  local name list=''
  case $BACKUP in
    *[!A-Za-z0-9_]*) wrong_usage "--backup $BACKUP is not the name of a backup, such as full_20251013_030000." ;;
  esac
  local IFS=', '
  # Names of components hold no pattern characters: the next line refuses all others.
  case $ONLY in *[!a-z_,\ ]*) wrong_usage "--only takes these, with commas between: $COMPONENTS" ;; esac
  for name in $ONLY; do
    case $name in
      packages) ONLY_PHASES=yes ONLY_PACKAGES=yes ;;
      git) ONLY_PHASES=yes ONLY_GIT=yes ;;
    esac
    case " $COMPONENTS " in
      *" $name "*)
        list="$list $name"
        continue
        ;;
    esac
    case $name in
      packages | git) ;;
      *) wrong_usage "there is no component $name. --only takes these, with commas between: $COMPONENTS" ;;
    esac
  done
  if [ -n "$ONLY" ] && [ -z "$list$ONLY_PHASES" ]; then
    wrong_usage "--only takes these, with commas between: $COMPONENTS"
  fi
  if [ -n "$list" ] && [ -n "$ONLY_PHASES" ]; then
    wrong_usage '--only takes either components, or packages and git.'
  fi
  ONLY=$list
  if [ -n "$TARGET_HOME" ] && [ ! -d "$TARGET_HOME" ]; then
    # It is made when everything else is known, as the Maia root is.
    real_place --target-home "$TARGET_HOME"
  else
    physical "${TARGET_HOME:-$HOME}" || die "$FAILED" "${TARGET_HOME:-$HOME} cannot be opened." 'name the home with --target-home DIR.'
  fi
  TARGET_HOME=$REPLY
  if [ -n "$VAULT_PASSWORD_FILE" ] && [ "$VAULT_PASSWORD_FILE" != - ] && [ ! -r "$VAULT_PASSWORD_FILE" ]; then
    wrong_usage "--vault-password-file $VAULT_PASSWORD_FILE cannot be read."
  fi
  if [ -z "$YES$DRY_RUN" ] && ! has_terminal; then
    die "$USAGE" 'there is no terminal to ask on.' 'look at the plan with --dry-run, then restore with --to DIR --yes.'
  fi
}

# ---------------------------------------------------------------------------------------------------------------------
# Tools

check_tools() {
  local tool missing=''
  for tool in awk cat chmod cp cut date df find grep gzip head ln mkdir mktemp mv od openssl readlink rm rmdir sort stat tail tar touch xargs; do
    command -v "$tool" > /dev/null 2>&1 || missing="$missing $tool"
  done
  if [ -n "$missing" ]; then
    die "$FAILED" "this machine lacks what a restore needs:$missing." 'install it, or put its folder into PATH, and run the same command again.'
  fi
  case $(openssl dgst -sha256 -r < /dev/null 2> /dev/null) in
    "$SHA256_OF_NOTHING"*) ;;
    *) die "$FAILED" 'openssl dgst -sha256 does not work here.' 'put a working openssl first in PATH.' ;;
  esac
  # Without perl, zsh; without both, three processes for each extent: slower, but with nothing that a Mac could lack.
  # The dollars belong to zsh.
  # shellcheck disable=SC2016
  if perl -e 'exit 0' > /dev/null 2>&1; then
    WRITER=perl
  elif zsh -f -c 'zmodload zsh/system && (( $+builtins[sysseek] ))' > /dev/null 2>&1; then
    WRITER=zsh
  elif command -v dd > /dev/null 2>&1; then
    WRITER='tail'
  else
    die "$FAILED" 'this machine lacks what a restore needs: perl, or zsh, or dd.' 'install one of them.'
  fi
  if stat -c %s / > /dev/null 2>&1; then STAT=gnu; else STAT=bsd; fi
  if date -u -d @0 +%s > /dev/null 2>&1; then DATE=gnu; else DATE=bsd; fi
  case $(tar --version 2> /dev/null) in
    *bsdtar*) TAR=bsd ;;
    *) TAR=gnu ;;
  esac
  if command -v sqlite3 > /dev/null 2>&1; then SQLITE=yes; fi
}

# A place for small lists. Those of a run that was killed are removed.
make_work() {
  local tmp=${TMPDIR:-/tmp} old pid
  # awk takes a backslash in a file name it is given for the beginning of an escape.
  case $tmp in *\\*) tmp=/tmp ;; esac
  for old in "$tmp"/maia-restore.??????; do
    if [ -d "$old" ] && [ ! -L "$old" ] && [ -O "$old" ] && [ -f "$old/pid" ]; then
      read -r pid < "$old/pid" || continue
      is_running "$pid" || rm -rf "$old"
    fi
  done
  WORK=$(mktemp -d "$tmp/maia-restore.XXXXXX") || die "$FAILED" "no folder for work files can be made in $tmp." 'free some space there.'
  MAIN_WORK=$WORK
  myself
  printf '%s\n' "$REPLY" > "$WORK/pid" || full "$WORK"
  : > "$WORK/missing" || full "$WORK"
  : > "$WORK/doubtful" || full "$WORK"
  : > "$WORK/undelivered" || full "$WORK"
  : > "$WORK/chunks.bad" || full "$WORK"
  : > "$WORK/vault.files" || full "$WORK"
  if touch -m -d 2001-02-03T04:05:06.5Z "$WORK/pid" 2> /dev/null; then TOUCH=iso; else TOUCH=old; fi
}

# started PID: when that process began, in REPLY, as this machine tells it; empty if there is none, - if it cannot be
# told. Numbers are given out again, so it takes both to name a process. maia-dr finds it out likewise.
started() {
  local line=''
  REPLY=''
  if [ -d /proc/self ]; then
    { IFS= read -r -d '' line < "/proc/$1/stat"; } 2> /dev/null
    # Behind the name of its program, which stands in parentheses and may hold anything.
    # shellcheck disable=SC2086
    set -- ${line##*) }
    case ${1:-Z} in Z*) return ;; esac
    REPLY=${20:--}
  elif command -v ps > /dev/null 2>&1; then
    # shellcheck disable=SC2046
    set -- $(TZ=UTC0 ps -p "$1" -o stat= -o lstart= 2> /dev/null)
    case ${1:-Z} in Z*) return ;; esac
    shift
    local IFS=_
    REPLY=$*
  elif kill -0 "$1" 2> /dev/null; then
    REPLY=-
  fi
}

# myself: this process, as is_running knows it, in REPLY.
myself() {
  started $$
  REPLY=$$:$REPLY
}

# is_running PID:BEGINNING
is_running() {
  local pid=${1%%:*} began=${1#*:}
  case $pid in '' | *[!0-9]*) return 1 ;; esac
  started "$pid"
  case $REPLY in
    '') return 1 ;;
    - | "$began") return 0 ;;
  esac
  [ "$began" = - ]
}

# limited SECONDS COMMAND...: ends it when it takes longer, with 124.
limited() {
  local ticks=$(($1 * 5)) code
  shift
  "$@" &
  CHILD=$!
  while kill -0 "$CHILD" 2> /dev/null; do
    if [ "$ticks" -le 0 ]; then
      # It is not waited for: who waits for a file from the cloud may not be to be killed.
      disown "$CHILD" 2> /dev/null
      kill "$CHILD" 2> /dev/null
      sleep 1
      kill -9 "$CHILD" 2> /dev/null
      CHILD=''
      return 124
    fi
    ticks=$((ticks - 1))
    sleep 0.2
  done
  wait "$CHILD"
  code=$?
  CHILD=''
  return "$code"
}

# free_bytes DIR: free bytes there, in REPLY.
free_bytes() {
  REPLY=$(df -Pk "$1" 2> /dev/null | awk 'NR > 1 { for (i = NF; i > 1; i--) if ($i ~ /%$/) { printf "%.0f", $(i - 1) * 1024; exit } }')
  [ -n "$REPLY" ] || REPLY=0
}

# full DIR: ends the run after a write failed there.
full() {
  free_bytes "$1"
  if [ "$REPLY" -lt 1000000 ]; then
    die "$FAILED" "the disk is full ($1)." 'free some space and run the same command again: what is in place stays.'
  fi
  die "$FAILED" "writing in $1 failed." 'see that the folder is writable, then run the same command again: what is in place stays.'
}

# ---------------------------------------------------------------------------------------------------------------------
# Names and lists
#
# A list holds one encoded name a line. A folder of names is always given apart, and tools see ./name.

decode_names() {
  local name
  while read -r name; do
    printf './%b\0' "$name" || return 1
  done
}

# encode_names LETTER: reads ./names that end in NUL, as find -print0 writes them, and writes "letter name" lines. od and
# awk do it without a process for each name.
encode_names() {
  od -An -v -t o1 | awk -v letter="$1" '
    BEGIN {
      for (i = 0; i < 256; i++) {
        octal = int(i / 64) "" int(i / 8) % 8 "" i % 8
        table[octal] = (i > 32 && i < 127 && i != 92) ? sprintf("%c", i) : "\\0" octal
      }
    }
    {
      for (i = 1; i <= NF; i++) {
        octal = "00" $i
        octal = substr(octal, length(octal) - 2)
        if (octal != "000") { name = name table[octal]; continue }
        sub(/^\.\//, "", name)
        print letter, name
        name = ""
      }
    }'
}

# measure FOLDER LIST OUTPUT: "bytes mode mtime links" of each name, "- - - -" of what cannot be looked at.
measure() {
  local option=-c format='%s %a %.9Y %h' name
  if [ "$STAT" = bsd ]; then
    option=-f format='%z %p %Fm %l'
  fi
  : > "$3" || full "$WORK"
  [ -s "$2" ] || return 0
  decode_names < "$2" > "$WORK/names" || full "$WORK"
  (cd "$1" && xargs -0 -n 250 stat "$option" "$format" < "$WORK/names" > "$3" 2> /dev/null)
  same_length "$2" "$3" && return 0
  while IFS= read -r -d '' name <&3; do
    (cd "$1" && stat "$option" "$format" "$name") 2> /dev/null || printf '%s\n' '- - - -'
  done 3< "$WORK/names" > "$3"
  same_length "$2" "$3" || full "$WORK"
}

# hash_list FOLDER LIST OUTPUT: the SHA-256 of each name, - of what cannot be read. A few processes hash everything; a name
# with a newline in it would be taken for two lines, so those go one by one.
hash_list() {
  : > "$3" || full "$WORK"
  [ -s "$2" ] || return 0
  awk -v plain="$WORK/hash.plain" -v odd="$WORK/hash.odd" '
    BEGIN { printf "" > plain; printf "" > odd }
    { print NR, $0 > (index($0, "\\0012") ? odd : plain) }' "$2" || full "$WORK"
  cut -d ' ' -f 2 "$WORK/hash.plain" | decode_names > "$WORK/names" || full "$WORK"
  if [ -s "$WORK/names" ]; then
    (cd "$1" && xargs -0 -n 250 openssl dgst -sha256 -r < "$WORK/names" > "$WORK/hash.lines" 2> /dev/null)
    if awk 'length($1) != 64 || $1 ~ /[^0-9a-f]/ { exit 1 }' "$WORK/hash.lines" && same_length "$WORK/hash.plain" "$WORK/hash.lines"; then
      awk 'FILENAME == ARGV[1] { sum[FNR] = $1; next } { print $1, sum[FNR] }' "$WORK/hash.lines" "$WORK/hash.plain" > "$WORK/hash.out" || full "$WORK"
    else
      hash_each "$1" < "$WORK/hash.plain" > "$WORK/hash.out"
    fi
  else
    : > "$WORK/hash.out" || full "$WORK"
  fi
  hash_each "$1" < "$WORK/hash.odd" >> "$WORK/hash.out"
  sort -n "$WORK/hash.out" | cut -d ' ' -f 2 > "$3"
  same_length "$2" "$3" || full "$WORK"
}

# hash_each FOLDER: numbered names to numbered hashes.
hash_each() {
  local number name path sum
  while read -r number name; do
    printf -v path '%b' "$name"
    sum=$( (openssl dgst -sha256 -r < "$1/$path") 2> /dev/null)
    printf '%s %s\n' "$number" "${sum:0:64}" || return 1
  done | awk '{ print $1, (length($2) == 64 ? $2 : "-") }'
}

same_length() {
  awk 'FILENAME == ARGV[1] { n++; next } { m++ } END { exit n + 0 != m + 0 }' "$1" "$2"
}

# hash_of FILE: its SHA-256, in REPLY; empty if it cannot be read.
hash_of() {
  REPLY=$( (openssl dgst -sha256 -r < "$1") 2> /dev/null)
  REPLY=${REPLY%% *}
}

# bytes_of FILE: its size, in REPLY.
bytes_of() {
  if [ "$STAT" = gnu ]; then REPLY=$(stat -c %s "$1" 2> /dev/null); else REPLY=$(stat -f %z "$1" 2> /dev/null); fi
  [ -n "$REPLY" ] || REPLY=-1
}

# set_times FOLDER LIST [-h]: LIST has "time old-style-time name" a line; -h sets the time of a link itself.
set_times() {
  local iso old name path
  while read -r iso old name; do
    printf -v path '%b' "$name"
    if [ "$TOUCH" = iso ]; then
      touch -c -m ${3+"$3"} -d "$iso" "$1/$path"
    else
      TZ=UTC0 touch -c -m ${3+"$3"} -t "$old" "$1/$path"
    fi 2> /dev/null
  done < "$2"
}

# set_modes FOLDER LIST: LIST has "mode name" a line. Neighbours of one mode are set by one process.
set_modes() {
  local mode name last='' number=0
  : > "$WORK/modes.names" || full "$WORK"
  while read -r mode name; do
    if [ "$mode" != "$last" ] && [ "$number" -gt 0 ]; then
      change_modes "$1" "$last"
      number=0
      : > "$WORK/modes.names" || full "$WORK"
    fi
    last=$mode number=$((number + 1))
    printf '%s\n' "$name" >> "$WORK/modes.names" || full "$WORK"
  done < "$2"
  if [ "$number" -gt 0 ]; then change_modes "$1" "$last"; fi
}

change_modes() {
  decode_names < "$WORK/modes.names" > "$WORK/names" || full "$WORK"
  (cd "$1" && xargs -0 -n 250 chmod "$2" < "$WORK/names") 2> /dev/null
}

# Functions for several awk programs. civil(): 1760324400.5 as 2025-10-13T03:00:00.5Z and 202510130300.00.
# mode(): what stat and the index write, in one form. parent(): the folder above, "" at the top.
# same_time(): as text, since as numbers times have too many digits; before 1970 GNU writes -0.5 where the index has
# -1.5; and where touch knows whole seconds only, they are all that counts.
readonly AWK_LIBRARY='
  function two(n) { return (n < 10 ? "0" : "") n }
  function civil(t, part, days, rest, era, doe, yoe, doy, mp, y, m, d, hour, minute) {
    split(t, part, ".")
    days = int(part[1] / 86400)
    if (days * 86400 > part[1] + 0) days--
    rest = part[1] - days * 86400
    days += 719468
    era = int(days / 146097)
    doe = days - era * 146097
    yoe = int((doe - int(doe / 1460) + int(doe / 36524) - int(doe / 146096)) / 365)
    doy = doe - (365 * yoe + int(yoe / 4) - int(yoe / 100))
    mp = int((5 * doy + 2) / 153)
    d = doy - int((153 * mp + 2) / 5) + 1
    m = mp < 10 ? mp + 3 : mp - 9
    y = yoe + era * 400 + (m <= 2)
    hour = int(rest / 3600); rest -= hour * 3600
    minute = int(rest / 60); rest -= minute * 60
    y = sprintf("%04d", y)
    return y "-" two(m) "-" two(d) "T" two(hour) ":" two(minute) ":" two(rest) "." part[2] "Z " \
      y two(m) two(d) two(hour) two(minute) "." two(rest)
  }
  function mode(m) { m = "0000" m; return substr(m, length(m) - 3) }
  function same_time(had, want, part) {
    if (stat == "gnu" && had ~ /^-/) {
      split(had, part, ".")
      if (part[2] + 0 > 0) had = sprintf("%d.%09d", part[1] - 1, 1000000000 - part[2])
    }
    if (touch == "old") { sub(/[.].*/, "", had); sub(/[.].*/, "", want) }
    return had "" == want ""
  }
  function parent(p) {
    if (p !~ /\//) return ""
    sub("/[^/]*$", "", p)
    return p == "-" ? "\\0055" : p
  }
'

# The grammar of the index and of the vault's. A string is encoded in exactly one way: an encoded slash or dot must not
# pass for something else. placed(): where a file goes, below the target.
readonly AWK_GRAMMAR='
  function number(s) { return length(s) <= 15 && s ~ /^(0|[1-9][0-9]*)$/ }
  function hash(s) { return length(s) == 64 && s !~ /[^0-9a-f]/ }
  function commit(s) { return (length(s) == 40 || length(s) == 64) && s !~ /[^0-9a-f]/ }
  # given: a mode without setuid and setgid, which a backup of somebody else must not give to anything.
  function given(s) { return length(s) < 4 ? s : (substr(s, 1, 1) % 2 ? "1" : "") substr(s, 2) }
  function octal(s) { return length(s) <= 4 && s ~ /^(0|[1-7][0-7]*)$/ }
  function seconds(s) { return length(s) <= 11 && s ~ /^(0|-?[1-9][0-9]*)$/ && s <= 9000000000 && s >= -9000000000 }
  function instant(s, part) {
    if (s !~ /^-?[0-9]+\.[0-9]+$/) return 0
    split(s, part, ".")
    return length(part[2]) == 9 && seconds(part[1])
  }
  function text(s, at, code) {
    if (s == "" || s == "\\0055") return s != ""
    while ((at = index(s, "\\")) > 0) {
      code = substr(s, at + 1, 4)
      if (code !~ /^0[0-3][0-7][0-7]$/) return 0
      code = substr(code, 2)
      if (code == "000" || code > "040" && code < "177" && code != "134") return 0
      s = substr(s, at + 5)
    }
    return 1
  }
  function path(s) {
    return s != "-" && text(s) && s !~ /^\// && s !~ /\/$/ && s !~ /\/\// && s !~ /(^|\/)\.\.?(\/|$)/
  }
  function placed(component, name, beside) {
    if (component == "maia_code" || component == "maia_data_small" || component == "maia_data_large") return name
    if (name == "\\0055") name = "-"
    if (component == "launchagents") return beside "/home/Library/LaunchAgents/" name
    if (component == "shell_configs") return beside "/home/" name
    return beside "/packages/" name
  }
'

# ---------------------------------------------------------------------------------------------------------------------
# The repository and the backup

# physical DIR: its absolute path without links, in REPLY.
physical() {
  case $1 in
    /*) REPLY=$1 ;;
    *) REPLY=$PWD/$1 ;;
  esac
  REPLY=$(cd -P "$REPLY" 2> /dev/null && pwd -P && printf x) || return 1
  # The x keeps a newline at the end of the name, which the shell would cut off.
  REPLY=${REPLY%?x}
}

# take_repository DIR: DIR is a repository, or a backup in one, which then is the one to restore.
take_repository() {
  [ -d "$1" ] || return 1
  physical "$1" || return 1
  case ${REPLY##*/} in
    full_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9])
      if [ -d "${REPLY%/*}/chunks" ]; then
        DEFAULT_ID=${REPLY##*/}
        REPO=${REPLY%/*}
        return 0
      fi
      ;;
  esac
  [ -f "$REPLY/repository.json" ] || [ -d "$REPLY/chunks" ] || return 1
  REPO=$REPLY
}

find_repository() {
  local here dir known number=0 found
  if [ -n "$REPOSITORY" ]; then
    take_repository "$REPOSITORY" && return
    take_repository "$REPOSITORY/MaiaBackups" && return
    die "$NOT_FOUND" "$REPOSITORY is no backup repository." 'name the folder MaiaBackups with --repository DIR.'
  fi
  here=${BASH_SOURCE[0]:-}
  case $here in
    */*) here=${here%/*} ;;
    *) here=. ;;
  esac
  take_repository "${here:-/}" && return
  found=()
  for dir in "$HOME"/Library/CloudStorage/OneDrive*/MaiaBackups "$HOME"/OneDrive*/MaiaBackups; do
    case ${dir%/MaiaBackups} in
      # Libraries of others, and accounts that were removed, which keep a date in parentheses.
      */OneDrive-SharedLibraries-* | *')') continue ;;
    esac
    take_repository "$dir" || continue
    for known in ${found[@]+"${found[@]}"}; do
      if [ "$known" = "$REPO" ]; then continue 2; fi
    done
    found[number]=$REPO
    number=$((number + 1))
  done
  case $number in
    0)
      die "$NOT_FOUND" "no backup repository was found. Looked in the folder of this script, in $HOME/Library/CloudStorage/OneDrive* and in $HOME/OneDrive*." \
        'start OneDrive, sign in and wait until MaiaBackups appears; or name the folder with --repository DIR.'
      ;;
    1) REPO=${found[0]} ;;
    *) choose_repository ${found[@]+"${found[@]}"} ;;
  esac
}

choose_repository() {
  local dir number=0
  if [ -n "$YES$DRY_RUN" ] && ! has_terminal; then
    die "$USAGE" "more than one repository was found: $*." 'name the right one with --repository DIR.'
  fi
  say 'There are backups in more than one place:'
  for dir in "$@"; do
    number=$((number + 1))
    say "  $number  $dir"
  done
  ask 'Which one? [1] '
  case ${REPLY:-1} in
    *[!0-9]* | ???*) die "$USAGE" "there is no number $REPLY." 'run it again and type one of the numbers, or name the folder with --repository DIR.' ;;
  esac
  number=${REPLY:-1}
  if [ "$number" -lt 1 ] || [ "$number" -gt $# ]; then
    die "$USAGE" "there is no number $number." 'run it again and type one of the numbers, or name the folder with --repository DIR.'
  fi
  shift $((number - 1))
  REPO=$1
}

# choose_backup finds the backup and leaves its index in $WORK/index.*. Names are in order of age.
choose_backup() {
  local ids number dir id i usable='' bare='' wanted=${BACKUP:-$DEFAULT_ID}
  ids=() number=0
  for dir in "$REPO"/full_[0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9]; do
    if [ -d "$dir" ]; then
      ids[number]=${dir##*/}
      number=$((number + 1))
    fi
  done
  if [ "$number" -eq 0 ]; then
    die "$FAILED" "there is no backup in $REPO." 'wait until OneDrive has synced, or name another folder with --repository DIR.'
  fi
  if [ -n "$wanted" ] && [ "$wanted" != latest ]; then
    match_backup "$wanted" ${ids[@]+"${ids[@]}"}
    open_backup "$ID" || die "$FAILED" "$ID cannot be restored: $REPLY." 'choose another one with --backup ID, or wait until OneDrive has synced.'
    return
  fi
  i=$number
  while [ "$i" -gt 0 ]; do
    i=$((i - 1))
    id=${ids[i]}
    if open_backup "$id"; then
      if ! may_be_proven "$id"; then
        bare=yes
        note "$id is passed over: its vault or its restore.mac is not there, so the password cannot prove it."
        continue
      fi
      if [ ! -s "$WORK/lacks" ]; then
        ID=$id
        return
      fi
      usable=${usable:-$id}
      lacks_text
    fi
    note "$id is passed over: $REPLY."
  done
  if [ -z "$usable" ] && [ -n "$bare" ]; then
    die "$WRONG_PASSWORD" "no backup in $REPO that can be restored has a vault, so the password proves none." 'without --vault-password-file they can be restored, and nothing is activated.'
  fi
  if [ -z "$usable" ]; then
    die "$FAILED" "no backup in $REPO can be restored." 'wait until OneDrive has synced, then run the same command again.'
  fi
  note "No backup is complete. $usable is the newest that can be restored in part."
  open_backup "$usable" || die "$FAILED" "$usable cannot be restored: $REPLY." 'wait until OneDrive has synced, then run the same command again.'
  ID=$usable
}

# may_be_proven ID: whether the opened backup is one that a password that was given can prove.
may_be_proven() {
  [ -n "$VAULT_PASSWORD_FILE" ] || return 0
  [ -f "$REPO/$1/restore.mac" ] && awk '$3 == "credentials.vault.enc" { found = 1; exit } END { exit !found }' "$WORK/index.files"
}

# lacks_text: what of the opened backup is not there, in REPLY.
lacks_text() {
  local number=0 name reason first=''
  while read -r name reason; do
    number=$((number + 1))
    first=${first:-$name $reason}
  done < "$WORK/lacks"
  REPLY="it is not complete: $first"
  if [ "$number" -gt 1 ]; then REPLY="$REPLY, and $((number - 1)) more"; fi
}

# match_backup WANTED ID...: a whole name, or the beginning of one, with or without full_.
match_backup() {
  local wanted=$1 id matches='' number=0
  shift
  for id in "$@"; do
    case $id in
      "$wanted")
        ID=$id
        return
        ;;
      "$wanted"* | "full_$wanted"*)
        ID=$id matches="$matches $id" number=$((number + 1))
        ;;
    esac
  done
  case $number in
    0) die "$USAGE" "there is no backup $wanted in $REPO." "the newest one is $id." ;;
    1) ;;
    *) die "$USAGE" "$wanted could mean:$matches." 'give more of its name.' ;;
  esac
}

# open_backup ID: reads and checks its index and sees what it lacks ($WORK/lacks). REPLY says why it cannot be used.
open_backup() {
  local dir=$REPO/$1 states limit
  if [ ! -f "$dir/backup_manifest.json" ]; then
    REPLY='it was never finished, its manifest is not there'
    return 1
  fi
  if [ ! -f "$dir/restore.index.gz" ]; then
    REPLY='it is not complete: restore.index.gz is missing'
    return 1
  fi
  # The copy is what is unpacked, and what the MAC is of.
  if ! deliver "$dir/restore.index.gz"; then
    REPLY='OneDrive does not deliver its restore.index.gz'
    return 1
  fi
  head -c $((MAX_INDEX_GZ + 1)) < "$dir/restore.index.gz" > "$WORK/index.gz" 2> /dev/null || {
    free_bytes "$WORK"
    [ "$REPLY" -gt "$MAX_INDEX_GZ" ] || full "$WORK"
    REPLY='its restore.index.gz cannot be read'
    return 1
  }
  bytes_of "$WORK/index.gz"
  if [ "$REPLY" -gt "$MAX_INDEX_GZ" ]; then
    REPLY='its restore.index.gz is larger than any index'
    return 1
  fi
  limit=$((1048576 + 256 * REPLY))
  if [ "$limit" -gt "$MAX_INDEX" ]; then limit=$MAX_INDEX; fi
  gzip -dc < "$WORK/index.gz" 2> /dev/null | head -c $((limit + 1)) > "$WORK/index"
  states=("${PIPESTATUS[@]}")
  [ "${states[1]}" -eq 0 ] || full "$WORK"
  bytes_of "$WORK/index"
  if [ "$REPLY" -gt "$limit" ]; then
    REPLY='its restore.index.gz unpacks to more than any index'
    return 1
  fi
  if [ "${states[0]}" -ne 0 ]; then
    REPLY='its restore.index.gz is damaged'
    return 1
  fi
  parse_index "$1" || return 1
  find_lacks "$1"
}

# parse_index ID: one pass over the index that believes nothing. It leaves, in $WORK:
#   index.meta      key value
#   index.files     bytes sha256 name                                    of the backup's folder
#   index.chunks    number gz-bytes raw-bytes sha256
#   index.streams   number tar|db component bytes
#   index.extents   chunk stream stream-offset chunk-offset length
#   index.entries   type component source mode mtime bytes sha256 destination link
#   index.git       state commit branch changed unknown unpushed stashes; branch commit name remote reference;
#                   remote name address
#   index.tools     version name version; python number own version path; venv path version home
#   index.secrets   0|1 component 0|1 destination: whether a secret-bearing file is in the vault, and a copy without its
#                   secrets in the backup
# source is the stream (t0, s3) or what else holds the entry, destination its place below the target. An entry that
# would lie outside the target, or below what is no folder, refuses the whole backup: it was not made by maia-dr.
parse_index() {
  local file key value
  for file in meta files chunks streams extents entries secrets git tools reason; do
    : > "$WORK/index.$file" || full "$WORK"
  done
  if ! awk -v id="$1" -v base="$WORK/index." -v lock="$LOCK_NAME" -v most="$MAX_ENTRIES" "$AWK_LIBRARY$AWK_GRAMMAR"'
    function fail(why) {
      if (failed) exit 1
      failed = 1
      print why > (base "reason")
      exit 1
    }
    function broken() { fail("line " NR " of its restore.index.gz is not what maia-dr writes") }
    function finish_stream() {
      if (stream != "" && (expected != 0 || offset != stream_bytes)) fail("the extents of stream " stream " in its restore.index.gz do not make up the stream")
    }
    # A Maia into which something was restored before has folders of these names itself.
    function free(name, n, out) {
      out = name
      for (n = 2; out in taken; n++) out = name "-" n
      return out
    }
    function free_at_home(name, n, out) {
      out = name
      for (n = 2; out in personal; n++) out = name "-" n
      return out
    }
    function under_root(component) { return component == "maia_code" || component == "maia_data_small" || component == "maia_data_large" }
    { if ($0 ~ /[^ -~]/ || $0 ~ /^ | $|  / || ended) broken() }
    NR == 1 {
      if ($0 ~ /^maia-restore-index [0-9]+$/ && $2 != "1") fail("NEWER")
      if ($0 != "maia-restore-index 1") fail("its restore.index.gz is no index")
      next
    }
    $1 == "x" {
      if (NF != 4 || stream == "" || expected < 1 || !number($2) || !number($3) || !number($4)) broken()
      if ($2 >= chunks || $4 < 1 || $3 + $4 > raw[$2]) broken()
      print $2, stream, sprintf("%.0f", offset), $3, $4 > (base "extents")
      offset += $4
      expected--
      next
    }
    { if (expected > 0) broken() }
    $1 == "entry" {
      if (NF != ($2 == "l" ? 9 : 8) || !octal($4) || !instant($5) || !number($6) || !path($8)) broken()
      if ($2 == "f" || $2 == "q" || $2 == "b") { if (!hash($7)) broken() }
      else if ($2 == "d" || $2 == "l") { if ($7 != "-" || $6 != 0) broken() }
      else broken()
      if ($2 == "l" && ($9 == "-" || !text($9))) broken()
      if (++n > most) fail("its restore.index.gz names more files than any backup has")
      type[n] = $2; component[n] = $3; line[n] = given($4) " " $5 " " $6 " " $7; bytes[n] = $6; sum[n] = $7; link[n] = NF == 9 ? $9 : "-"
      place[n] = $8
      if ($2 == "b" ? $3 != "maia_data_large" : $3 == "maia_data_large") broken()
      if (under_root($3)) {
        source[n] = $2 == "b" ? "large" : "t"
        top = $8
        sub(/\/.*/, "", top)
        taken[top] = 1
      } else if ($3 == "launchagents" || $3 == "shell_configs") {
        source[n] = $3
        if ($3 == "shell_configs") { top = $8; sub(/\/.*/, "", top); personal[top] = 1 }
      }
      else if ($3 == "dependencies" || $3 == "system_metadata") {
        if ($2 != "f" || $8 ~ /\//) broken()
        source[n] = "folder"
        name[n] = $8 == "\\0055" ? "-" : $8
      } else broken()
      next
    }
    $1 == "git" {
      if ($2 == "state") { if (NF != 8 || stood++ || !commit($3) || !text($4) || !number($5) || !number($6) || !number($7) || !number($8)) broken() }
      else if (!stood) broken()
      else if ($2 == "branch") { if (NF != 6 || !commit($3) || !text($4) || $4 == "-" || !text($5) || !text($6)) broken() }
      else if ($2 != "remote" || NF != 4 || !text($3) || !text($4)) broken()
      sub(/^git /, "")
      print > (base "git")
      next
    }
    $1 == "version" { if (NF != 3 || $2 !~ /^[a-z][a-z0-9_]*$/ || !text($3)) broken(); print > (base "tools"); next }
    $1 == "python" { if (NF != 5 || !number($2) || $2 > 999 || $3 != "0" && $3 != "1" || !text($4) || !text($5)) broken(); print > (base "tools"); next }
    $1 == "venv" { if (NF != 4 || !path($2) || !text($3) || !text($4)) broken(); print > (base "tools"); next }
    $1 == "password" { if (NF != 2 || !number($2) || $2 < 1) broken(); next }
    $1 == "secret" {
      if (NF != 4 || $2 != "0" && $2 != "1" || $3 !~ /^[a-z][a-z0-9_]*$/ || !path($4)) broken()
      secret[++secrets] = $2 " " $3
      secret_path[secrets] = $4
      next
    }
    $1 == "file" {
      if (NF != 4 || !number($2) || !hash($3) || length($4) > 100 || $4 !~ /^[A-Za-z0-9][A-Za-z0-9._-]*$/ || $4 in folder) broken()
      folder[$4] = $2 " " $3
      print $2, $3, $4 > (base "files")
      next
    }
    $1 == "chunk" {
      if (NF != 5 || $2 != chunks + 0 "" || !number($3) || !number($4) || !hash($5) || $4 < 1 || $4 > 48000000) broken()
      raw[chunks + 0] = $4 + 0
      chunks++
      print $2, $3, $4, $5 > (base "chunks")
      next
    }
    $1 == "stream" {
      finish_stream()
      if (NF < 6 || $2 != streams + 0 "" || !number($5) || !number($6)) broken()
      if ($3 == "tar" && NF == 6) {
        if ($4 != "maia_code" && $4 != "maia_data_small" || $4 in tar) broken()
        tar[$4] = $2
      } else if ($3 == "db" && NF == 10) {
        if ($4 != "maia_data_large" || !hash($7) || !octal($8) || !seconds($9) || !path($10) || $10 in database) broken()
        database[$10] = $5 " " $7
        number_of[$10] = $2
      } else broken()
      print $2, $3, $4, $5 > (base "streams")
      stream = $2; stream_bytes = $5 + 0; expected = $6 + 0; offset = 0
      streams++
      next
    }
    $1 == "end" {
      if (NF != 2 || $2 != NR - 1 "") fail("lines are missing in its restore.index.gz")
      ended = 1
      next
    }
    $1 == "backup" || $1 == "created" || $1 == "program" || $1 == "repository" || $1 == "root" || $1 == "home" || $1 == "prefix" {
      if (NF != ($1 == "created" ? 3 : 2) || $1 in meta || !text($2)) broken()
      if ($1 == "created" && !seconds($2)) broken()
      meta[$1] = $2
      print $1, $2 > (base "meta")
      next
    }
    $1 == "oldroot" { if (NF != 2 || !text($2)) broken(); print $1, $2 > (base "meta"); next }
    { broken() }
    END {
      if (failed) exit 1
      if (!ended) fail("its restore.index.gz ends too early")
      finish_stream()
      if (!("backup" in meta && "created" in meta && "root" in meta && "home" in meta)) fail("lines are missing in its restore.index.gz")
      if (meta["backup"] != id) fail("its restore.index.gz belongs to " meta["backup"])
      if (!("backup_manifest.json" in folder)) fail("its restore.index.gz names no manifest")
      beside = free("maia-recovered")
      print "beside", beside > (base "meta")
      print "scratch", free(".maia-restore.partial") > (base "meta")
      print "homescratch", free_at_home(".maia-restore.partial") > (base "meta")
      print "homeaside", free("home") > (base "meta")
      for (i = 1; i <= n; i++) {
        # The lock of a restore that was killed is nothing to bring back.
        if ((under_root(component[i]) || component[i] == "shell_configs") && (place[i] == lock || index(place[i], lock "/") == 1)) { dropped[i] = 1; continue }
        place[i] = placed(component[i], place[i], beside)
        if (place[i] in kind) fail("its restore.index.gz names " place[i] " twice")
        kind[place[i]] = type[i]
      }
      for (i = 1; i <= n; i++) {
        if (dropped[i]) continue
        for (up = parent(place[i]); up != ""; up = parent(up))
          if (up in kind && kind[up] != "d") fail("its restore.index.gz places " place[i] " below something that is no folder")
        if (source[i] == "t") {
          if (!(component[i] in tar)) fail("its restore.index.gz names files of " component[i] " and no stream")
          source[i] = "t" tar[component[i]]
        } else if (source[i] == "large") {
          if (place[i] in database ? database[place[i]] != bytes[i] " " sum[i] : bytes[i] != 0)
            fail("its restore.index.gz contradicts itself about " place[i])
          if (place[i] in database) source[i] = "s" number_of[place[i]]
        } else if (source[i] == "folder") {
          if (folder[name[i]] != bytes[i] " " sum[i]) fail("its restore.index.gz contradicts itself about " name[i])
        } else if (!((source[i] ".tar.gz") in folder)) fail("its restore.index.gz does not name " source[i] ".tar.gz")
        print type[i], component[i], source[i], line[i], place[i], link[i] > (base "entries")
      }
      for (i = 1; i <= secrets; i++) {
        split(secret[i], part, " ")
        here = placed(part[2], secret_path[i], beside)
        print part[1], part[2], (here in kind ? 1 : 0), here > (base "secrets")
      }
    }' "$WORK/index" 2> /dev/null; then
    IFS= read -r REPLY < "$WORK/index.reason" || full "$WORK"
    if [ "$REPLY" = NEWER ]; then
      die "$FAILED" "$1 was made by a newer maia-dr than this script." "run the script beside it: bash '$REPO/restore_maia.sh'"
    fi
    return 1
  fi
  while read -r key value; do
    case $key in
      created) CREATED=$value ;;
      root) printf -v ROOT '%b' "$value" ;;
      home) printf -v HOME_THEN '%b' "$value" ;;
      beside) BESIDE=$value ;;
      scratch) SCRATCH_NAME=$value ;;
      homescratch) HOME_SCRATCH_NAME=$value ;;
      homeaside) HOME_ASIDE=$value ;;
    esac
  done < "$WORK/index.meta"
}

# find_lacks ID: what the index names and is not there with its size, as "name reason" in $WORK/lacks.
find_lacks() {
  list_sizes "$REPO/$1" 3 < "$WORK/index.files" > "$WORK/sizes" || full "$WORK"
  awk 'FILENAME == ARGV[1] { have[$2] = $1; next }
    !($3 in have) { print $3, "is missing"; next }
    have[$3] != $1 { print $3, "has " have[$3] " bytes instead of " $1 }' "$WORK/sizes" "$WORK/index.files" > "$WORK/lacks" || full "$WORK"
  awk '{ print $4 ".gz" }' "$WORK/index.chunks" | list_sizes "$REPO/chunks" 1 > "$WORK/sizes" || full "$WORK"
  awk 'FILENAME == ARGV[1] { have[$2] = $1; next }
    { name = $4 ".gz" }
    !(name in have) { print "chunks/" name, "is missing"; next }
    have[name] != $2 { print "chunks/" name, "has " have[name] " bytes instead of " $2 }' "$WORK/sizes" "$WORK/index.chunks" >> "$WORK/lacks" || full "$WORK"
}

# list_sizes FOLDER FIELD: "bytes name" for each file that is there. These names are ours: letters, digits, dots.
# Asking for the size downloads nothing.
list_sizes() {
  cut -d ' ' -f "$2" > "$WORK/names" || return 1
  [ -s "$WORK/names" ] || return 0
  if [ "$STAT" = gnu ]; then
    (cd "$1" 2> /dev/null && xargs -n 250 stat -L -c '%s %n' < "$WORK/names" 2> /dev/null)
  else
    (cd "$1" 2> /dev/null && xargs -n 250 stat -L -f '%z %N' < "$WORK/names" 2> /dev/null)
  fi
  return 0
}

# check_folder: what of the backup's folder is not there as it was, as "name reason" in $WORK/damaged. Chunks follow when
# they are used.
check_folder() {
  local kind name
  list_sizes "$REPO/$ID" 3 < "$WORK/index.files" > "$WORK/sizes" || full "$WORK"
  # Reading something that is no file, or longer than it was, might never end.
  awk 'FILENAME == ARGV[1] { have[$2] = $1; next } $3 in have { print (have[$3] == $1 ? "same" : "other"), $3 }' \
    "$WORK/sizes" "$WORK/index.files" > "$WORK/list" || full "$WORK"
  : > "$WORK/other" || full "$WORK"
  while read -r kind name; do
    if [ ! -f "$REPO/$ID/$name" ]; then continue; fi
    if [ "$kind" = other ]; then
      printf 'other %s\n' "$name" >> "$WORK/other" || full "$WORK"
      continue
    fi
    if ! deliver "$REPO/$ID/$name"; then not_delivered "$ID/$name"; fi
    printf '%s\n' "$name"
  done < "$WORK/list" > "$WORK/readable" || full "$WORK"
  hash_list "$REPO/$ID" "$WORK/readable" "$WORK/sums"
  awk 'FILENAME == ARGV[1] { name[FNR] = $1; next } FILENAME == ARGV[2] { sum[name[FNR]] = $1; next } FILENAME == ARGV[3] { sum[$2] = "other"; next }
    !($3 in sum) || sum[$3] == "-" { print $3, "is missing or cannot be read"; next }
    sum[$3] != $2 { print $3, "is damaged" }' "$WORK/readable" "$WORK/sums" "$WORK/other" "$WORK/index.files" > "$WORK/damaged" || full "$WORK"
}

# ---------------------------------------------------------------------------------------------------------------------
# Files that lie in the cloud only
#
# OneDrive keeps the names and sizes of files here, and fetches their bytes when somebody reads them (they are "dataless"). That can
# take for ever, and who reads cannot be woken then: so it is a process of its own that reads, and it may be left behind.

# dataless FILE: whether its bytes are not here. Asking downloads nothing.
dataless() {
  local flags
  [ "$STAT" = bsd ] || return 1
  flags=$(stat -L -f %Xf "$1" 2> /dev/null)
  case $flags in '' | *[!0-9A-Fa-f]* | ?????????*) return 1 ;; esac
  [ $((0x$flags & 0x40000000)) -ne 0 ]
}

# deliver FILE: fails if its bytes are in the cloud and do not come within the time they have.
deliver() {
  dataless "$1" || return 0
  note "OneDrive is asked for ${1##*/} ..."
  download "$1"
}

# download FILE: 120 s, and one more for every 100 kB.
download() {
  bytes_of "$1"
  limited "${DOWNLOAD_LIMIT:-$((120 + (REPLY > 0 ? REPLY : 0) / 100000))}" cat -- "$1" > /dev/null 2>&1 && ! dataless "$1"
}

# not_delivered NAME
not_delivered() {
  die "$FAILED" "OneDrive does not deliver $1." 'see in the menu bar that OneDrive runs, is signed in and not paused, and that the network works; then run the same command again: what has been downloaded stays. Or download the folder MaiaBackups from onedrive.com, and name it with --repository DIR.'
}

# find_dataless: the chunks that are needed and are in the cloud only, as "bytes sha256" in $WORK/dataless; DOWNLOAD, their bytes together.
find_dataless() {
  list_wanted
  awk 'FILENAME == ARGV[1] { wanted[$1] = 1; next } FILENAME == ARGV[2] { if ($2 in wanted) chunk[$1] = 1; next } $1 in chunk { print $2, $4 }' \
    "$WORK/wanted" "$WORK/index.extents" "$WORK/index.chunks" > "$WORK/list" || full "$WORK"
  : > "$WORK/dataless" || full "$WORK"
  if [ "$STAT" = bsd ] && [ -s "$WORK/list" ]; then
    awk '{ print $2 ".gz" }' "$WORK/list" > "$WORK/names" || full "$WORK"
    # The first digit of eight that has the bit 4.
    (cd "$REPO/chunks" 2> /dev/null && xargs -n 250 stat -L -f '%Xf %z %N' < "$WORK/names" 2> /dev/null) |
      awk 'length($1) == 8 && $1 ~ /^[4-7c-fC-F]/ { sub(/\.gz$/, "", $3); print $2, $3 }' > "$WORK/dataless" || full "$WORK"
  fi
  DOWNLOAD=$(awk '{ n += $1 } END { printf "%.0f", n }' "$WORK/dataless")
}

# print_dataless: what has to come from the cloud before anything else.
print_dataless() {
  local bytes sha number=0 total
  [ -s "$WORK/dataless" ] || return 0
  lines_of "$WORK/dataless"
  total=$REPLY
  size "$DOWNLOAD"
  bytes=$REPLY
  count "$total" 'file is in the cloud only: it is' 'files are in the cloud only: they are'
  say "  first  $REPLY downloaded, $bytes"
  while read -r bytes sha; do
    number=$((number + 1))
    if [ "$number" -gt 3 ] && [ -z "$DRY_RUN" ]; then
      say "         and $((total - 3)) more"
      break
    fi
    size "$bytes"
    say "         chunks/$sha.gz, $REPLY"
  done < "$WORK/dataless"
}

# fetch_dataless downloads them. What does not come is treated as missing, so that the rest can be restored; if two in a row do
# not come, none will.
fetch_dataless() {
  local bytes sha number=0 total got=0 failed=0 text began=$SECONDS
  [ -s "$WORK/dataless" ] || return 0
  lines_of "$WORK/dataless"
  total=$REPLY
  while read -r bytes sha <&3; do
    number=$((number + 1))
    size "$bytes"
    text=$REPLY
    size $((DOWNLOAD - got))
    note "Download $number of $total: $text of $REPLY that are left ($((DOWNLOAD > 0 ? got * 100 / DOWNLOAD : 100)) %)"
    if download "$REPO/chunks/$sha.gz"; then
      failed=0
    else
      failed=$((failed + 1))
      note "  chunks/$sha.gz does not come"
      printf '%s\n' "$sha" >> "$WORK/undelivered" || full "$WORK"
      if [ "$failed" -ge 2 ] || [ "$total" -eq 1 ]; then not_delivered "chunks/$sha.gz"; fi
    fi
    got=$((got + bytes))
  done 3< "$WORK/dataless"
  size "$DOWNLOAD"
  note "Downloaded $REPLY in $((SECONDS - began)) s."
}

# ---------------------------------------------------------------------------------------------------------------------
# The password and the vault
#
# The password is in one variable of this shell, and goes to openssl through a pipe: printf is the shell's own, so the
# password is in no argument, no environment and no file. The same holds for the keys.

# forget_password: a variable that was in the environment would go to every child; one that was unset first does not.
forget_password() {
  unset PASSWORD KEY REPLY inner outer octal byte
  PASSWORD='' KEY=''
}

# read_password_file: PASSWORD from --vault-password-file. It comes first, while standard input is still that of the user.
read_password_file() {
  local ended=''
  if [ "$VAULT_PASSWORD_FILE" != - ]; then
    IFS= read -r -d '' -n 515 PASSWORD < "$VAULT_PASSWORD_FILE" || ended=yes
  elif [ -t 0 ]; then
    IFS= read -r -s PASSWORD && ended=yes
  else
    IFS= read -r -d '' -n 515 PASSWORD || ended=yes
  fi
  PASSWORD=${PASSWORD%$'\n'}
  # A read that stops before the end has found a NUL, or more than any password.
  if [ -z "$ended" ] || ! is_password; then
    die "$WRONG_PASSWORD" 'what was given cannot be a vault password: one has 1 to 512 bytes, on one line.' 'look at what --vault-password-file names.'
  fi
}

is_password() {
  case $PASSWORD in '' | *$'\n'* | *$'\r'*) return 1 ;; esac
  [ "${#PASSWORD}" -le 512 ]
}

# ask_password: PASSWORD, from the terminal, which does not show it. An empty answer is none.
ask_password() {
  HIDDEN=$(stty -g < /dev/tty 2> /dev/null)
  # Before the question, so that nothing shows of who is quick to answer.
  stty -echo < /dev/tty 2> /dev/null
  printf '%s' 'Vault password (not shown; nothing: go on without it): ' > /dev/tty
  IFS= read -r -s PASSWORD < /dev/tty || PASSWORD=''
  show_typing
  printf '\n' > /dev/tty
  [ -n "$PASSWORD" ]
}

# show_typing: the terminal as it was before ask_password.
show_typing() {
  if [ -n "$HIDDEN" ]; then stty "$HIDDEN" < /dev/tty 2> /dev/null; fi
  HIDDEN=''
}

# authenticate: AUTHENTICATED if the password proves that the index is what maia-dr wrote; otherwise UNPROVEN says why not.
# What follows from the index is then proven by its hashes.
authenticate() {
  local tries=0 name
  awk '$3 == "credentials.vault.enc"' "$WORK/index.files" > "$WORK/numbers" || full "$WORK"
  read -r VAULT_BYTES VAULT_SUM name < "$WORK/numbers" || VAULT_BYTES=''
  if [ ! -f "$REPO/$ID/restore.mac" ]; then
    UNPROVEN='no vault password was set, so nobody vouches for who made it'
    if [ -n "$VAULT_BYTES" ]; then
      UNPROVEN='its restore.mac is missing, so nobody vouches for who made it'
    elif vaults_elsewhere; then
      STRIPPED=yes
      UNPROVEN='this backup has no vault and others have one, so anybody who can write to the OneDrive folder may have made it'
    fi
    return
  fi
  if ! deliver "$REPO/$ID/restore.mac"; then not_delivered "$ID/restore.mac"; fi
  if ! read_mac || ! try_openssl; then return; fi
  if [ -n "$VAULT_PASSWORD_FILE" ]; then
    if ! check_mac; then
      die "$WRONG_PASSWORD" "the vault password is wrong, or restore.index.gz of $ID was changed: the two cannot be told apart." \
        'look at the password; without --vault-password-file, what is not in the vault can be restored.'
    fi
    AUTHENTICATED=yes
    return
  fi
  UNPROVEN='no vault password was given, so nobody vouches for who made it'
  if [ -n "$YES$DRY_RUN" ]; then return; fi
  while [ "$tries" -lt 3 ]; do
    tries=$((tries + 1))
    ask_password || return
    if check_mac; then
      AUTHENTICATED=yes
      return
    fi
    note 'The password is wrong, or the backup was changed: the two cannot be told apart.'
  done
  UNPROVEN='the vault password was wrong three times, or the backup was changed'
}

# demand_proof: whoever gives a password wants what it proves. A backup from which vault or MAC were taken away must not pass.
demand_proof() {
  if [ -z "$VAULT_PASSWORD_FILE" ] || [ -n "$AUTHENTICATED" ]; then return; fi
  die "$WRONG_PASSWORD" "the password does not prove that $ID is what was backed up: $UNPROVEN." \
    'choose another one with --backup ID; without --vault-password-file, what is not in a vault can be restored, and nothing is activated.'
}

# vaults_elsewhere: whether any other backup in the repository has a vault.
vaults_elsewhere() {
  local mac
  for mac in "$REPO"/full_*/restore.mac; do
    if [ -f "$mac" ] && [ "$mac" != "$REPO/$ID/restore.mac" ]; then return 0; fi
  done
  return 1
}

# read_mac: what restore.mac says, if it says it in the one way there is.
read_mac() {
  head -c 1000 < "$REPO/$ID/restore.mac" > "$WORK/mac" 2> /dev/null || :
  bytes_of "$WORK/mac"
  awk -v bytes="$REPLY" '
    function hex(s, n) { return length(s) == n && s !~ /[^0-9a-f]/ }
    { read += length($0) + 1 }
    NR == 1 { if ($0 ~ /^maia-restore-mac [0-9]+$/ && $2 != "1") newer = 1; ok = $0 == "maia-restore-mac 1"; next }
    NR == 2 { iterations = $2; salt = $3; ok = ok && $0 == "pbkdf2-hmac-sha256 " $2 " " $3 && $2 ~ /^[1-9][0-9]*$/ && hex($3, 16); next }
    NR == 3 { sum = $2; ok = ok && $0 == "hmac-sha256 " $2 && hex($2, 64); next }
    { ok = 0 }
    END {
      if (newer) print "newer"
      else if (!ok || NR != 3 || read != bytes) print "damaged"
      else if (length(iterations) > 8 || iterations < 600000 || iterations > 10000000) print "iterations"
      else print iterations, salt, sum
    }' "$WORK/mac" > "$WORK/numbers" || full "$WORK"
  read -r ITERATIONS SALT MAC < "$WORK/numbers"
  case $ITERATIONS in
    newer) UNPROVEN='its restore.mac was written by a newer maia-dr than this script' ;;
    damaged) UNPROVEN='its restore.mac is damaged' ;;
    iterations) UNPROVEN='its restore.mac asks for fewer than 600000 or more than 10000000 rounds' ;;
    *) return 0 ;;
  esac
  return 1
}

# try_openssl: whether it derives keys, and the right ones.
try_openssl() {
  derive_key x 0000000000000001 2
  if [ "$REPLY" = aa2575a49b31c57f2a4899fa90eecacb6666c6d366d35c94f78bded3c02bdeb6 ]; then return 0; fi
  UNPROVEN='the openssl here cannot check it, as it lacks -pbkdf2 (macOS 12.0 to 12.2 have such a one): update macOS, or put a newer openssl first in PATH'
  return 1
}

# derive_key PASSWORD SALT ITERATIONS: 64 hexadecimal digits in REPLY, empty if it fails.
derive_key() {
  REPLY=$(printf '%s\n' "$1" |
    openssl enc -aes-256-cbc -P -S "$2" -pbkdf2 -iter "$3" -md sha256 -pass fd:9 9<&0 < /dev/null 2> /dev/null |
    awk '/^key *=/ { sub(/^key *= */, ""); print tolower($0) }')
  case $REPLY in *[!0-9a-f]*) REPLY='' ;; esac
  if [ ${#REPLY} -ne 64 ]; then REPLY=''; fi
}

# check_mac: whether the MAC of the index under PASSWORD is the one in restore.mac.
check_mac() {
  local i=0 inner='' outer='' octal byte
  is_password || return 1
  note 'Checking the vault password, which is made slow on purpose ...'
  derive_key "$PASSWORD" "$SALT" "$ITERATIONS"
  KEY=$REPLY REPLY=''
  [ -n "$KEY" ] || return 1
  while [ "$i" -lt 64 ]; do
    byte=0
    if [ "$i" -lt 32 ]; then byte=$((0x${KEY:i*2:2})); fi
    printf -v octal '%03o' $((byte ^ 0x36))
    inner=$inner\\0$octal
    printf -v octal '%03o' $((byte ^ 0x5c))
    outer=$outer\\0$octal
    i=$((i + 1))
  done
  KEY=''
  REPLY=$({
    printf '%b' "$outer"
    { printf '%b' "$inner" && cat "$WORK/index.gz"; } | openssl dgst -sha256 -binary
  } | openssl dgst -sha256 -r)
  [ "${REPLY%% *}" = "$MAC" ]
}

# decrypt: the vault's tar, to standard output. The copy whose hash was compared is what is opened.
decrypt() {
  printf '%s\n' "$PASSWORD" |
    openssl enc -d -aes-256-cbc -pbkdf2 -iter "$ITERATIONS" -md sha256 -pass fd:9 9<&0 < "$WORK/vault.enc" 2> /dev/null
}

# open_vault: VAULT is open if its files are now among the entries; otherwise CLOSED says why not.
open_vault() {
  [ -n "$VAULT_BYTES" ] || return 0
  CLOSED='the vault was not opened'
  [ -n "$AUTHENTICATED" ] || return 0
  CLOSED='credentials.vault.enc is missing or damaged'
  [ -f "$REPO/$ID/credentials.vault.enc" ] || return 0
  if ! head -c $((VAULT_BYTES + 1)) < "$REPO/$ID/credentials.vault.enc" > "$WORK/vault.enc" 2> /dev/null; then
    free_bytes "$WORK"
    [ "$REPLY" -gt "$VAULT_BYTES" ] || full "$WORK"
    return 0
  fi
  hash_of "$WORK/vault.enc"
  [ "$REPLY" = "$VAULT_SUM" ] || return 0
  note 'Opening the vault ...'
  # Only the list: the secrets themselves wait until everything was agreed to.
  decrypt | tar -x -O -f - vault.index 2> /dev/null > "$WORK/vault.index" || :
  if parse_vault; then
    CLOSED='' VAULT=open
    mv "$WORK/vault.entries" "$WORK/index.entries" || full "$WORK"
  else
    CLOSED=$REPLY
  fi
}

# parse_vault believes the vault's list no more than the index, and leaves in $WORK:
#   vault.files     component name destination
#   vault.entries   index.entries with the vault's files in place of the copies without their secrets
parse_vault() {
  if ! awk -v id="$ID" -v base="$WORK/vault." -v beside="$BESIDE" "$AWK_LIBRARY$AWK_GRAMMAR"'
    function fail(why) {
      if (failed) exit 1
      failed = 1
      print why > (base "reason")
      exit 1
    }
    function broken() { fail("line " FNR " of its vault.index is not what maia-dr writes") }
    BEGIN { printf "" > (base "files"); printf "" > (base "entries") }
    FILENAME == ARGV[1] { entry[++n] = $0; place[n] = $8; type[$8] = $1; next }
    { if ($0 ~ /[^ -~]/ || $0 ~ /^ | $|  / || ended) broken() }
    FNR == 1 {
      if ($0 ~ /^maia-vault-index [0-9]+$/ && $2 != "1") fail("its vault was made by a newer maia-dr than this script")
      if ($0 != "maia-vault-index 1") broken()
      next
    }
    FNR == 2 { if ($0 != "backup " id) fail("its vault belongs to another backup"); next }
    $1 == "entry" {
      if (NF != 8 || $2 != "f" || !octal($4) || !instant($5) || !number($6) || !hash($7) || !path($8)) broken()
      if ($3 != "maia_code" && $3 != "maia_data_small" && $3 != "launchagents" && $3 != "shell_configs") broken()
      here = placed($3, $8, beside)
      if (here in vault || here in type && type[here] != "f") broken()
      # Nobody but the owner reads secrets.
      vault[here] = "f " $3 " vault " (substr(mode($4), 2, 1) % 2 ? "700" : "600") " " $5 " " $6 " " $7 " " here " -"
      order[++files] = here
      print $3, $8, here > (base "files")
      next
    }
    $1 == "end" { if (NF != 2 || $2 != FNR - 1 "") broken(); ended = 1; next }
    { broken() }
    END {
      if (failed) exit 1
      if (!ended) fail("its vault.index ends too early")
      for (i = 1; i <= files; i++)
        for (up = parent(order[i]); up != ""; up = parent(up))
          if (up in vault || up in type && type[up] != "d") fail("its vault.index places " order[i] " below something that is no folder")
      for (i = 1; i <= n; i++) {
        if (place[i] in vault) continue
        for (up = parent(place[i]); up != ""; up = parent(up)) if (up in vault) fail("its vault.index contradicts the backup about " up)
        print entry[i] > (base "entries")
      }
      for (i = 1; i <= files; i++) print vault[order[i]] > (base "entries")
    }' "$WORK/index.entries" "$WORK/vault.index" 2> /dev/null; then
    IFS= read -r REPLY < "$WORK/vault.reason" || full "$WORK"
    return 1
  fi
}

# find_secrets: the secret-bearing files that were asked for and that cannot be had whole: "0|1 name reason" in $WORK/secrets, 1
# for those that the vault has.
find_secrets() {
  awk -v only="$ONLY " -v vault="$VAULT" '
    FILENAME == ARGV[1] { there[$3] = 1; next }
    only != " " && index(only, " " $2 " ") == 0 && index(only, " secrets ") == 0 { next }
    $1 == 0 { print 0, $4, ($3 == 1 ? "restored as a copy without its secrets, which are in no part of this backup" : "is in no part of this backup"); next }
    vault == "open" { if (!($4 in there)) print 1, $4, "should be in the vault and is not"; next }
    { print 1, $4, ($3 == 1 ? "restored as a copy without its secrets, which are in the vault" : "is only in the vault") }' \
    "$WORK/vault.files" "$WORK/index.secrets" > "$WORK/secrets" || full "$WORK"
}

# ---------------------------------------------------------------------------------------------------------------------
# The place

choose_place() {
  local place home=$TARGET_HOME
  if [ -z "$TO" ]; then
    DEFAULT_PLACE=yes
    place=$ROOT
    case $HOME_THEN in
      '' | /) ;;
      *)
        case $ROOT/ in
          "$HOME_THEN"/*) place=$home${ROOT#"$HOME_THEN"} ;;
        esac
        ;;
    esac
    likely_place "$place" || place=''
    if [ -z "$YES$DRY_RUN" ]; then
      if [ -n "$place" ] && in_use "$place"; then
        say
        say "PLEASE NOTE: $place is there and not empty. What differs in it would be moved aside, to $place.before-restore-DATE_TIME;"
        say 'another folder leaves it as it is.'
      fi
      ask "Where shall Maia go? ${place:+[$place] }"
      DEFAULT_PLACE=''
      # A tilde is what people type; the shell does not expand it here.
      # shellcheck disable=SC2088
      case $REPLY in
        '') ;;
        '~') place=$HOME ;;
        '~/'*) place=$HOME/${REPLY#??} ;;
        *) place=$REPLY ;;
      esac
    fi
    if [ -z "$place" ]; then die "$USAGE" 'the place where Maia was is no likely one for it.' 'say where it shall go with --to DIR.'; fi
    TO=$place
  fi
  resolve_place
  MAIN_TO=$TO
}

# in_use DIR: whether there is something in it.
in_use() {
  for REPLY in "$1"/* "$1"/.[!.]*; do
    if [ -e "$REPLY" ] || [ -L "$REPLY" ]; then return 0; fi
  done
  return 1
}

# likely_place DIR: whether it may be proposed. The backup says where its Maia was, and it may not be a backup of ours: neither the
# home itself, nor where programs keep what they run by themselves, nor a name that would look like something else on the screen.
likely_place() {
  local path=${1%/} below
  case $path in /*) ;; *) return 1 ;; esac
  encoded "$path"
  show "$REPLY"
  [ "$REPLY" = "$path" ] || return 1
  case $path/ in */../* | */./*) return 1 ;; esac
  case $TARGET_HOME/ in "$path"/*) return 1 ;; esac
  case $path in
    "$TARGET_HOME"/*)
      below=${path#"$TARGET_HOME"/}
      case $below in [Ll][Ii][Bb][Rr][Aa][Rr][Yy] | [Ll][Ii][Bb][Rr][Aa][Rr][Yy]/* | .* | /*) return 1 ;; esac
      ;;
  esac
}

# check_place: where nobody is asked, only a proven backup says where it goes.
check_place() {
  if [ -n "$DEFAULT_PLACE" ] && [ -z "$AUTHENTICATED$DRY_RUN" ]; then
    die "$USAGE" "only a proven backup says where it goes: $UNPROVEN." 'say where with --to DIR.'
  fi
}

# resolve_place makes TO absolute and free of links. Links may stand in its own path, but nothing is written through one
# below it.
resolve_place() {
  real_place --to "$TO"
  TO=$REPLY
  case $TO in
    '') die "$USAGE" 'the whole disk cannot be the target.' 'choose another place with --to DIR.' ;;
    "$REPO" | "$REPO"/*) die "$USAGE" "$TO lies in the backups." 'choose another place with --to DIR.' ;;
  esac
}

# real_place OPTION PATH: the folder that the option names, whether or not it is there yet, absolute and free of links, in REPLY.
real_place() {
  local rest='' base
  case $2 in
    /*) base=$2 ;;
    *) base=$PWD/$2 ;;
  esac
  while [ ! -d "$base" ]; do
    if [ -e "$base" ] || [ -L "$base" ]; then
      die "$FAILED" "$base is not a folder." "choose another place with $1 DIR."
    fi
    case ${base##*/} in
      ..) die "$USAGE" "$1 $2 leads through a folder that is not there." 'write the path without .. in it.' ;;
      '' | .) ;;
      *) rest=/${base##*/}$rest ;;
    esac
    base=${base%/*}
    base=${base:-/}
  done
  physical "$base" || die "$FAILED" "$base cannot be opened." "choose another place with $1 DIR."
  REPLY=${REPLY%/}$rest
}

# ---------------------------------------------------------------------------------------------------------------------
# The home
#
# Agents and shell files of a proven backup go into the home, with the paths of the new machine: docs/relocation.md. What
# they become is found out before anything is asked, so that every change can be shown, and their lines in the list of entries
# get the hashes of what they become. Those with secrets are only in pipes until then.

# in_home COMMAND...: runs it with the home as the target.
in_home() {
  local WORK=$WORK/home TO=$TARGET_HOME BEFORE=$BEFORE/$HOME_ASIDE SCRATCH=$HOME_SCRATCH SCRATCH_NAME=$HOME_SCRATCH_NAME SHOW_UNDER=$TARGET_HOME/
  "$@"
}

# plan_home moves the personal files from the lists of the target to those of the home, with the bytes they will have.
plan_home() {
  local file
  case $TARGET_HOME/ in
    "$TO"/*) die "$USAGE" "the home $TARGET_HOME lies in $TO." 'choose another place with --to DIR, or another home with --target-home DIR.' ;;
  esac
  INTO_HOME=yes
  mkdir "$WORK/home" || full "$WORK"
  for file in missing doubtful chunks.bad index.streams index.extents index.chunks index.entries vault.files changes ambiguous asitwas relocated; do
    : > "$WORK/home/$file" || full "$WORK"
  done
  cp "$WORK/index.files" "$WORK/home/index.files" || full "$WORK"
  if [ "$VAULT" = open ]; then ln "$WORK/vault.enc" "$WORK/home/vault.enc" || full "$WORK"; fi
  awk -v dir="$BESIDE/home/" -v home="$WORK/home/index.entries" '
    $2 != "launchagents" && $2 != "shell_configs" { print; next }
    { $8 = substr($8, length(dir) + 1); if ($8 == "-") $8 = "\\0055"; print > home }' "$WORK/index.entries" > "$WORK/list" || full "$WORK"
  mv "$WORK/list" "$WORK/index.entries" || full "$WORK"
  awk -v dir="$BESIDE/home/" 'index($3, dir) == 1 { $3 = substr($3, length(dir) + 1); if ($3 == "-") $3 = "\\0055"; print }' \
    "$WORK/vault.files" > "$WORK/home/vault.files" || full "$WORK"
  make_map
  in_home relocate_all
}

# encoded TEXT: as names are in lists, in REPLY.
encoded() {
  REPLY=$(printf './%s\0' "$1" | encode_names x)
  REPLY=${REPLY#x }
}

# make_map writes $WORK/home/map, as bytes: the old user's name if the new one has another, then each old path and its new
# one in two lines. Paths with a newline are nobody's.
make_map() {
  local i=0 old new to prefix=
  encoded "$TO"
  to=$REPLY
  encoded "$TARGET_HOME"
  case $(uname -m 2> /dev/null) in
    arm64 | aarch64) prefix=/opt/homebrew ;;
    x86_64) prefix=/usr/local ;;
  esac
  {
    printf 'new %s %s %s\n' "$to" "$REPLY" "$prefix"
    while [ "$i" -lt "$MAPS" ]; do
      encoded "${MAP_OLD[i]}"
      old=$REPLY
      encoded "${MAP_NEW[i]}"
      printf 'map %s %s\n' "$old" "$REPLY"
      i=$((i + 1))
    done
    awk '$1 != "oldroot"' "$WORK/index.meta"
    awk '$1 == "oldroot"' "$WORK/index.meta" | sort -u
    awk '$1 == "python" && $3 == 1 { print "own", $5, ".maia-venv" ($2 > 0 ? "-" $2 : "") "/bin/python3" }' "$WORK/index.tools"
  } > "$WORK/list" || full "$WORK"
  awk -v user="$WORK/home/user" -v ambiguous="$WORK/home/ambiguous" '
    function base(p) { sub(/.*\//, "", p); return p }
    function is_path(p) { return p ~ /^\/.*[^\/]$/ }
    function pair(a, b) { if (is_path(a) && is_path(b)) { old[++n] = a; to[n] = b } }
    function known(i, dir) {
      if (done) return
      done = 1
      pair(value["root"], root)
      pair(value["home"], home)
      if (value["prefix"] != "" && prefix != "" && value["prefix"] != prefix) {
        split("bin sbin opt Cellar Caskroom", dir, " ")
        for (i = 1; i <= 5; i++) pair(value["prefix"] "/" dir[i], prefix "/" dir[i])
      }
      if (is_path(value["home"]) && base(value["home"]) != base(home)) print base(value["home"]) > user
    }
    function covered(dir, i) { for (i = 1; i <= n; i++) if (index(dir "/", old[i] "/") == 1) return 1; return 0 }
    BEGIN { printf "" > user }
    $1 == "new" { root = $2; home = $3; prefix = $4; next }
    $1 == "map" { pair($2, $3); next }
    $1 == "own" { known(); pair($2, root "/" $3); next }
    $1 != "oldroot" { value[$1] = $2; next }
    {
      known()
      if (!is_path($2) || covered($2)) next
      if (is_path(value["root"]) && base($2) == base(value["root"])) pair($2, root)
      else print $2 > ambiguous
    }
    END {
      known()
      for (i = 1; i <= n; i++) if (old[i] != to[i] && !(old[i] in seen)) { seen[old[i]] = 1; print old[i], to[i] }
    }' "$WORK/list" > "$WORK/pairs" || full "$WORK"
  old=''
  read -r old < "$WORK/home/user" || :
  {
    printf '%b\n' "$old"
    while read -r old new; do
      case $old$new in *\\0012*) continue ;; esac
      printf '%b\n%b\n' "$old" "$new"
    done < "$WORK/pairs"
  } > "$WORK/home/map" || full "$WORK"
}

# relocate_all: each personal file as it will be. $WORK/stage gets those without secrets, index.entries the new bytes and
# hashes; changes, ambiguous and asitwas what there is to say.
relocate_all() {
  local SCRATCH=$WORK number=0 type component source mode mtime bytes sha place link
  awk '{ print "M", NR, $0 }' "$WORK/index.entries" > "$WORK/todo" || full "$WORK"
  mkdir "$WORK/stage" || full "$WORK"
  stage_archive launchagents Library/LaunchAgents
  stage_archive shell_configs .
  find "$WORK/stage" -type d ! -perm -700 -exec chmod u+rwx {} \; 2> /dev/null
  find "$WORK/stage" -type f ! -perm -400 -exec chmod u+r {} + 2> /dev/null
  while read -r type component source mode mtime bytes sha place link <&3; do
    if [ "$type" = f ] && { [ -z "$ONLY" ] || needs_component "$component" "$source"; }; then
      relocate_one
    fi
    printf '%s\n' "$type $component $source $mode $mtime $bytes $sha $place $link"
  done 3< "$WORK/index.entries" > "$WORK/list" || full "$WORK"
  mv "$WORK/list" "$WORK/index.entries" || full "$WORK"
}

# needs_component COMPONENT SOURCE: whether --only asks for it.
needs_component() {
  case "$ONLY " in
    *" $1 "*) return 0 ;;
    *' secrets '*) [ "$2" = vault ] ;;
    *) return 1 ;;
  esac
}

# relocate_one changes the variables bytes and sha of relocate_all, and the file, if it is changed.
relocate_one() {
  local path file changes=0 size=0
  printf -v path '%b' "$place"
  file=$WORK/stage/$source/$path
  if [ "$source" != vault ]; then
    [ -f "$file" ] && [ ! -L "$file" ] || return 0
    hash_of "$file"
    # What is damaged is told when it is to be put into place.
    [ "$REPLY" = "$sha" ] || return 0
  fi
  : > "$WORK/changed" || full "$WORK"
  : > "$WORK/left" || full "$WORK"
  printf '0 0\n' > "$WORK/numbers"
  if [ "$source" = vault ]; then
    original | relocate | openssl dgst -sha256 -r > "$WORK/sum"
  else
    original | relocate > "$WORK/now" || full "$WORK"
    hash_of "$WORK/now"
    printf '%s\n' "$REPLY" > "$WORK/sum"
  fi
  read -r changes size < "$WORK/numbers" || changes=0
  with_place "$WORK/left" >> "$WORK/ambiguous" || full "$WORK"
  case $changes in
    0) return 0 ;;
    refused)
      printf '%s\n' "$place" >> "$WORK/asitwas" || full "$WORK"
      return 0
      ;;
  esac
  with_place "$WORK/changed" >> "$WORK/changes" || full "$WORK"
  printf '%s\n' "$place" >> "$WORK/relocated" || full "$WORK"
  read -r sha < "$WORK/sum" || full "$WORK"
  sha=${sha%% *} bytes=$size
  if [ "$source" != vault ]; then mv "$WORK/now" "$file" || full "$WORK"; fi
}

# with_place FILE: its lines, with place in front.
with_place() {
  local line
  while IFS= read -r line; do printf '%s %s\n' "$place" "$line"; done < "$1"
}

# original: a file as it was, to standard output; place, component, source and file are relocate_one's.
original() {
  local part name path='' to
  if [ "$source" != vault ]; then
    cat "$file"
    return
  fi
  while read -r part name to; do
    if [ "$part" = "$component" ] && [ "$to" = "$place" ]; then printf -v path '%b' "files/$part/$name"; fi
  done < "$WORK/vault.files"
  decrypt | one_of_tar "$path"
}

# one_of_tar NAME: the bytes of that file of the tar on standard input. Characters of patterns are escaped.
one_of_tar() {
  local name=$1
  name=${name//\\/\\\\} name=${name//\*/\\*} name=${name//\?/\\?} name=${name//\[/\\[}
  if [ "$TAR" = gnu ]; then tar -x -O --no-wildcards -f - -- "$1" 2> /dev/null; else tar -x -O -f - -- "$name" 2> /dev/null; fi
}

# relocate: standard input as the new machine needs it, to standard output; "changes bytes" goes to $WORK/numbers, lines of a
# diff to changed, what is ambiguous to left. Of sealed files only mapped paths are shown.
relocate() {
  local kind=text size=$bytes
  if [ "$component" = launchagents ]; then kind=plist; fi
  {
    magic='' known=$size
    if [ "$kind" = plist ]; then IFS= read -r -d '' -n 7 magic; fi
    if [ "$magic" = bplist0 ]; then
      # How long it is as XML is not known.
      known=''
      { printf '%s' "$magic" && cat; } | as_xml
    else
      { printf '%s' "$magic" && cat; } | tr -d '\000'
    fi
    printf 'x %s' "$known"
  } | awk -v kind="$kind" -v sealed="$source" -v base="$WORK/" "$AWK_RELOCATE" "$WORK/map" -
}

# as_xml: a binary property list, as XML; without plutil, something that is none.
as_xml() {
  if command -v plutil > /dev/null 2>&1 && plutil -convert xml1 -o - - 2> /dev/null; then return; fi
  cat > /dev/null
  printf '<'
}

# docs/relocation.md. The first file is the map. The second is the text, without NULs, with "x SIZE" behind it: so the last
# line is told from one that ends, and a text that had NULs, which is none, from one that had not.
# shellcheck disable=SC2016
readonly AWK_RELOCATE='
  function in_name(c) { return c != "" && index(names, c) > 0 }
  function seek(s, what, from, at, after) {
    while ((at = index(substr(s, from), what)) > 0) {
      at += from - 1
      after = substr(s, at + length(what), 1)
      if (!(at > 1 && in_name(substr(s, at - 1, 1))) && !in_name(after) && (after == "" || after <= "\177")) return at
      from = at + 1
    }
    return 0
  }
  # map: s with new paths; used[1..hits] are the pairs.
  function map(s, from, out, i, at, best, which, n, seen) {
    hits = 0; from = 1; out = ""
    if (index(s, "/") == 0) return s
    while (1) {
      best = 0
      for (i = 1; i <= pairs; i++) {
        at = seek(s, old[i], from)
        if (at > 0 && (best == 0 || at < best || at == best && length(old[i]) > length(old[which]))) { best = at; which = i }
      }
      if (best == 0) return out substr(s, from)
      out = out substr(s, from, best - from) new[which]
      from = best + length(old[which])
      if (!(which in seen)) { seen[which] = 1; used[++hits] = which }
    }
  }
  function plain(s) {
    if (kind == "plist") { gsub(/&lt;/, "<", s); gsub(/&gt;/, ">", s); gsub(/&quot;/, "\"", s); gsub(/&apos;/, "\047", s); gsub(/&amp;/, "\\&", s) }
    return s
  }
  function clean(s) { gsub(/[\001-\037\177]/, "?", s); gsub(/\302[\200-\237]/, "?", s); return s }
  function changed(was, is, line, i) {
    changes++
    if (sealed != "vault") { diff = diff "- " line " " clean(plain(was)) "\n+ " line " " clean(plain(is)) "\n"; return }
    for (i = 1; i <= hits; i++) diff = diff "- " line " " clean(plain(old[used[i]])) "\n+ " line " " clean(plain(new[used[i]])) "\n"
  }
  function leave(line, what, s) { left = left line " " what ": " (sealed == "vault" ? "(not shown: the file holds secrets)" : clean(plain(s))) "\n" }
  function look(line, s) { if (user != "" && seek(s, user, 1)) leave(line, "it still names " clean(user), s) }
  # markup: how long the markup is with which s begins; 0 if it does not end.
  function markup(s, i, j, n, c, depth, quote) {
    if (substr(s, 1, 4) == "<!--") { i = index(substr(s, 5), "-->"); return i ? i + 6 : 0 }
    if (substr(s, 1, 9) == "<![CDATA[") { i = index(substr(s, 10), "]]>"); return i ? i + 11 : 0 }
    if (substr(s, 1, 2) == "<?") { i = index(substr(s, 3), "?>"); return i ? i + 3 : 0 }
    n = length(s)
    for (i = 1; i <= n; i++) {
      c = substr(s, i, 1)
      if (quote != "") { if (c == quote) quote = "" }
      else if (c == "\"" || c == "\047") quote = c
      else if (c == "<" && i > 1 && substr(s, i, 4) == "<!--") { j = index(substr(s, i + 4), "-->"); if (j == 0) return 0; i += j + 5 }
      else if (c == "<") depth++
      else if (c == ">" && --depth == 0) return i
    }
    return 0
  }
  function tag_name(tag) { sub(/^</, "", tag); sub(/>$/, "", tag); sub(/\/$/, "", tag); sub(/[ \t\r\n].*/, "", tag); return tag }
  function lines(s) { return gsub(/\n/, "", s) }
  function strings(s, out, k, n, tag, name, body, is, line, top) {
    line = 1; out = ""
    while ((k = index(s, "<")) > 0) {
      line += lines(substr(s, 1, k - 1))
      out = out substr(s, 1, k - 1); s = substr(s, k)
      n = markup(s)
      if (n == 0) { refused = 1; return }
      tag = substr(s, 1, n); name = tag_name(tag)
      out = out tag; s = substr(s, n + 1)
      line += lines(tag)
      if (name == "plist") { top = 1; if (tag ~ /\/>$/) closed = 1 }
      if (name == "/plist") closed = 1
      if (name != "string" && name != "key" || tag ~ /\/>$/) continue
      k = index(s, "<")
      n = k == 0 ? 0 : markup(substr(s, k))
      if (n == 0) { refused = 1; return }
      if (tag_name(substr(s, k, n)) != "/" name) {
        if (name == "key") continue
        refused = 1
        return
      }
      body = substr(s, 1, k - 1)
      is = map(body)
      if (name == "key") { if (hits > 0) leave(line, "a key, which is not changed, is a path of the old machine", body) }
      else {
        if (hits > 0) changed(body, is, line)
        look(line, is)
        out = out is
        line += lines(body)
        s = substr(s, k)
      }
    }
    if (!top || !closed) refused = 1
    return out s
  }
  function escape(s) { if (kind == "plist") { gsub(/&/, "\\&amp;", s); gsub(/</, "\\&lt;", s); gsub(/>/, "\\&gt;", s) } return s }
  BEGIN { names = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-" }
  FILENAME == ARGV[1] {
    if (FNR == 1) user = $0
    else if (FNR % 2 == 0) old[++pairs] = escape($0)
    else new[pairs] = escape($0)
    next
  }
  { row[++rows] = $0; total += length($0) + 1 }
  END {
    # Behind the last x is the size, if it is known.
    match(row[rows], /x [0-9]*$/)
    size = substr(row[rows], RSTART + 2)
    row[rows] = substr(row[rows], 1, RSTART - 1)
    total += RSTART - 1 - (RSTART + 1 + length(size)) - 1
    if (size != "" && total != size) {
      if (kind == "plist") print "refused" > (base "numbers")
      exit
    }
    if (kind == "plist") {
      text = row[1]
      for (i = 2; i <= rows; i++) text = text "\n" row[i]
      text = strings(text)
      if (refused) { print "refused" > (base "numbers"); exit }
      bytes = length(text)
    } else {
      for (i = 1; i <= rows; i++) {
        is = map(row[i])
        if (hits > 0) changed(row[i], is, i)
        look(i, is)
        row[i] = is
        bytes += length(is) + 1
      }
      bytes--
    }
    printf "%d %.0f\n", changes, bytes > (base "numbers")
    printf "%s", diff > (base "changed")
    printf "%s", left > (base "left")
    if (kind == "plist") { printf "%s", text; exit }
    for (i = 1; i < rows; i++) print row[i]
    printf "%s", row[rows]
  }
'

# print_home: what goes into the home, and every change.
print_home() {
  local agents shell equal differ lines files text
  awk '$3 == "d" || $3 == "i" { next } { if ($4 == "launchagents") agents++; else shell++ } $1 == "E" { equal++ } $1 == "D" { differ++ }
    END { printf "%d %d %d %d\n", agents, shell, equal, differ }' "$WORK/todo" > "$WORK/numbers" || full "$WORK"
  read -r agents shell equal differ < "$WORK/numbers"
  [ $((agents + shell)) -gt 0 ] || return 0
  count "$agents" agent agents
  text=$REPLY
  count "$shell" 'shell file' 'shell files'
  say "  home   $text and $REPLY go into $TARGET_HOME"
  print_in_the_way "$equal" "$differ"
  if [ -s "$WORK/changes" ]; then
    say '  In them the paths of the old machine become those of this one (- the old line, + the new one, with its number):'
    print_lines "$WORK/changes"
    awk '{ if (!($1 in seen)) { seen[$1]; files++ } if ($2 == "+") lines++ } END { printf "%d %d\n", lines, files }' "$WORK/changes" > "$WORK/numbers" || full "$WORK"
    read -r lines files < "$WORK/numbers"
    count "$lines" 'line changes' 'lines change'
    text=$REPLY
    count "$files" file files
    say "  together $text, in $REPLY"
  fi
  if [ -s "$WORK/asitwas" ]; then
    say '  Property lists whose paths cannot be changed; they are restored as they were:'
    print_lines "$WORK/asitwas"
  fi
  if [ -s "$WORK/ambiguous" ]; then
    say '  PLEASE LOOK AT THESE: paths of the old machine that nothing says the new ones of (--map OLD=NEW does):'
    print_lines "$WORK/ambiguous"
  fi
  [ "$agents" -gt 0 ] || return 0
  not_activated
  if [ -n "$REPLY" ]; then
    say "  agents are not loaded: $REPLY"
  else
    say '  agents are loaded at the end, where their programs exist'
  fi
}

# print_lines FILE: "place text" lines, those of one place below its name.
print_lines() {
  local place text last=''
  while read -r place text; do
    if [ "$place" != "$last" ]; then
      show "$place"
      case $REPLY in /*) say "    $REPLY" ;; *) say "    $SHOW_UNDER$REPLY" ;; esac
      last=$place
    fi
    if [ -n "$text" ]; then say "      $text"; fi
  done < "$1"
}

# stage_home: as stage, for the home. Files with secrets get their new paths only now.
stage_home() {
  local source=vault component name place bytes file path
  mkdir "$SCRATCH/stage" || full "$SCRATCH"
  cp -R "$WORK/stage/." "$SCRATCH/stage/" || full "$SCRATCH"
  stage_vault
  awk '$3 == "f" && $5 == "vault" && ($1 == "M" || $1 == "D") { print $4, $10 }' "$WORK/todo" > "$WORK/sealed" || full "$WORK"
  while read -r component place <&5; do
    printf -v path '%b' "$place"
    file=$SCRATCH/stage/vault/$path
    if [ ! -f "$file" ] || ! grep -qxF -e "$place" "$WORK/relocated"; then continue; fi
    bytes_of "$file"
    bytes=$REPLY
    relocate < "$file" > "$SCRATCH/now" || full "$SCRATCH"
    mv "$SCRATCH/now" "$file" || full "$SCRATCH"
  done 5< "$WORK/sealed"
  list_needed
  verify_stage
}

# ---------------------------------------------------------------------------------------------------------------------
# What is there already

# select_entries: $WORK/entries has what is to be restored, numbered, a folder before what it holds and all of it
# together: "number type component source mode mtime bytes sha256 destination link". Folders that the backup does
# not describe but that are needed have the type i.
select_entries() {
  awk -v only="$ONLY " "$AWK_LIBRARY"'
    function out(line, place) { gsub(/\//, "\001", place); print place "\t" line }
    only != " " && index(only, " " $2 " ") == 0 && !($3 == "vault" && index(only, " secrets ")) { next }
    {
      # A large database needs no folder of its own in scratch for each.
      if ($1 == "b") $3 = "large"
      out($0, $8)
      if ($1 == "d") folder[$8] = 1
      for (up = parent($8); up != "" && !(up in needed); up = parent(up)) needed[up] = 1
    }
    END { for (up in needed) if (!(up in folder)) out("i - - 700 0.000000000 0 - " up " -", up) }' "$WORK/index.entries" |
    sort -t $'\t' -k 1,1 | cut -f 2- | awk '{ print NR, $0 }' > "$WORK/entries" || full "$WORK"
}

# compare_target: $WORK/todo has the entries, each with its state in front: M missing, E equal (folders: there),
# D something else is there.
compare_target() {
  select_entries
  cut -d ' ' -f 1,2,7- "$WORK/entries" > "$WORK/list" || full "$WORK"
  look_at_target < "$WORK/list" > "$WORK/states" 4> "$WORK/candidates" || full "$WORK"
  cut -d ' ' -f 4 "$WORK/candidates" > "$WORK/list"
  measure "$TO" "$WORK/list" "$WORK/measures"
  awk -v same="$WORK/same" 'BEGIN { printf "" > same } FILENAME == ARGV[1] { bytes[FNR] = $1; next }
    bytes[FNR] == $2 { print > same; next } { print $1, "D" }' "$WORK/measures" "$WORK/candidates" >> "$WORK/states" || full "$WORK"
  cut -d ' ' -f 4 "$WORK/same" > "$WORK/list"
  hash_list "$TO" "$WORK/list" "$WORK/sums"
  awk 'FILENAME == ARGV[1] { sum[FNR] = $1; next } { print $1, (sum[FNR] == $3 ? "E" : "D") }' "$WORK/sums" "$WORK/same" >> "$WORK/states" || full "$WORK"
  awk 'FILENAME == ARGV[1] { state[$1] = $2; next } { print state[$1], $0 }' "$WORK/states" "$WORK/entries" > "$WORK/todo" || full "$WORK"
  find_folders_off
}

# compare_all: both targets.
compare_all() {
  note 'Comparing with what is there already ...'
  compare_target
  if [ -n "$INTO_HOME" ]; then in_home compare_target; fi
  if [ ! -s "$WORK/entries" ] && { [ -z "$INTO_HOME" ] || [ ! -s "$WORK/home/entries" ]; }; then
    case "$ONLY " in
      *' secrets '*) if [ -n "$CLOSED" ]; then die "$WRONG_PASSWORD" "$CLOSED." 'give the password with --vault-password-file FILE.'; fi ;;
    esac
    die "$USAGE" "$ID holds nothing of:$ONLY." 'leave --only out to restore everything.'
  fi
}

# something_to_do: whether anything of the target at hand is missing or not as it was.
something_to_do() {
  awk '$1 == "M" || $1 == "D" { found = 1; exit } END { exit !found }' "$WORK/todo" || [ -s "$WORK/folders.modes" ] || [ -s "$WORK/folders.times" ]
}

# look_at_target tells by type; files that might be equal go to descriptor 4 as "number bytes sha256 destination".
look_at_target() {
  local id type bytes sha place link path file state blocked=// want
  while read -r id type bytes sha place link; do
    case $place in
      "$blocked"*)
        # Its folder is not there yet, so it is not either.
        printf '%s M\n' "$id" || return 1
        continue
        ;;
    esac
    printf -v path '%b' "$place"
    file=$TO/$path state=D
    if [ -L "$file" ]; then
      if [ "$type" = l ]; then
        printf -v want '%b' "$link"
        read_link "$file"
        [ "$REPLY" != "$want" ] || state=E
      fi
    elif [ ! -e "$file" ]; then
      state=M
    elif [ -d "$file" ]; then
      case $type in d | i) state=E ;; esac
    elif [ -f "$file" ]; then
      case $type in
        f | q | b)
          printf '%s %s %s %s\n' "$id" "$bytes" "$sha" "$place" >&4 || return 1
          continue
          ;;
      esac
    fi
    case $type$state in d[MD] | i[MD]) blocked=$place/ ;; esac
    printf '%s %s\n' "$id" "$state" || return 1
  done
}

# read_link LINK: where it points, in REPLY.
read_link() {
  REPLY=$(readlink "$1" 2> /dev/null && printf x)
  REPLY=${REPLY%?x}
}

# find_folders_off: folders whose mode or time is not the index's, or that are not there: "mode name" in
# $WORK/folders.modes, "time old-style-time name" in $WORK/folders.times, the deepest first.
find_folders_off() {
  awk '$3 == "d" { print $6, $7, $10 }' "$WORK/todo" > "$WORK/folders" || full "$WORK"
  cut -d ' ' -f 3 "$WORK/folders" > "$WORK/list"
  if [ -d "$TO" ]; then
    measure "$TO" "$WORK/list" "$WORK/measures"
  else
    awk '{ print "-" }' "$WORK/list" > "$WORK/measures" || full "$WORK"
  fi
  awk -v stat="$STAT" -v touch="$TOUCH" -v modes="$WORK/folders.modes" -v times="$WORK/folders.times" "$AWK_LIBRARY"'
    BEGIN { printf "" > modes; printf "" > times }
    FILENAME == ARGV[1] { mode_of[FNR] = $2; time_of[FNR] = $3; next }
    { n = FNR; wanted_mode[n] = $1; wanted_time[n] = $2; name[n] = $3 }
    END {
      for (; n > 0; n--) {
        if (mode(mode_of[n]) != mode(wanted_mode[n])) print wanted_mode[n], name[n] > modes
        if (!same_time(time_of[n], wanted_time[n])) print civil(wanted_time[n]), name[n] > times
      }
    }' "$WORK/measures" "$WORK/folders" || full "$WORK"
}

# ---------------------------------------------------------------------------------------------------------------------
# The plan

print_plan() {
  local now when files bytes databases folders links personal equal differ missing need name reason
  awk '
    $1 == "D" { differ++ }
    $3 == "d" || $3 == "i" { folders += $3 == "d"; next }
    $3 == "l" { links++ }
    $3 != "l" { files++; bytes += $8; if ($3 != "f") databases++ }
    $4 !~ /^maia_/ { personal++ }
    $1 == "E" { equal++ }
    $1 == "M" { missing++ }
    END { printf "%d %.0f %d %d %d %d %d %d %d\n", files, bytes, databases, folders, links, personal, equal, differ, missing }
  ' "$WORK/todo" > "$WORK/numbers" || full "$WORK"
  read -r files bytes databases folders links personal equal differ missing < "$WORK/numbers"
  now=$(date -u +%s)
  if [ "$DATE" = gnu ]; then
    when=$(date -d "@$CREATED" '+%a %d %b %Y %H:%M')
  else
    when=$(date -r "$CREATED" '+%a %d %b %Y %H:%M')
  fi
  age $((now > CREATED ? now - CREATED : 0))
  say
  say "Restore $ID, made on $when ($REPLY ago)"
  if [ $((now - CREATED)) -gt "$OLD_SECONDS" ]; then
    say "  PLEASE NOTE: this backup is $REPLY old. What was done since then is not in it."
  elif [ $((CREATED - now)) -gt 86400 ]; then
    say "  PLEASE NOTE: this backup is from the future. The clock here, or there, is wrong."
  fi
  say "  from   $REPO"
  say "  to     $TO"
  say "  holds  $(contents "$files" "$databases" "$bytes" "$folders" "$links")"
  if [ -n "$ONLY" ]; then say "  only  $ONLY"; fi
  print_in_the_way "$equal" "$differ"
  if [ "$personal" -gt 0 ]; then
    if [ -n "$INTO_HOME" ]; then
      count "$personal" 'package list goes' 'package lists go'
      say "  beside $REPLY to $TO/$BESIDE/packages"
    else
      count "$personal" 'personal file goes' 'personal files go'
      say "  beside $REPLY to $TO/$BESIDE: LaunchAgents, shell files, package lists. Nothing of it is activated."
    fi
  fi
  find_need
  need=$NEED
  size "$need"
  name=$REPLY
  free_near "$TO"
  size "$FREE"
  say "  space  $name needed while it works, $REPLY free"
  find_dataless
  print_dataless
  if [ -n "$AUTHENTICATED" ]; then
    say '  authenticated: the vault password proves that this is what was backed up'
  else
    say "  not authenticated: $UNPROVEN"
    say '                     (every file is compared with its hash all the same)'
  fi
  if [ "$VAULT" = open ]; then
    lines_of "$WORK/vault.files"
    count "$REPLY" 'file with secrets comes' 'files with secrets come'
    say "  vault  $REPLY whole from it, readable by you alone"
  elif [ -n "$CLOSED" ]; then
    say "  vault  $CLOSED"
  fi
  print_secrets '  '
  if [ -n "$INTO_HOME" ]; then in_home print_home; fi
  print_git
  print_unused
  if [ -s "$WORK/lacks" ] || [ -s "$WORK/damaged" ]; then
    say '  PLEASE NOTE: parts of this backup are missing or damaged. Files that need them cannot be restored:'
    while read -r name reason; do
      case $name in chunks/*) say "    $name $reason" ;; esac
    done < "$WORK/lacks"
    while read -r name reason; do say "    $ID/$name $reason"; done < "$WORK/damaged"
  fi
  if [ -z "$SQLITE" ]; then say '  sqlite3 is not here: databases are compared by hash, but not opened'; fi
  say
  # What is downloaded lies on a disk, too; as a rule on the same one.
  free_bytes "$REPO"
  if [ "$REPLY" -eq "$FREE" ]; then need=$((need + DOWNLOAD)); fi
  if [ "$need" -gt "$FREE" ]; then
    die "$FAILED" 'there is not enough space.' 'free some, restore less with --only, or choose another place with --to DIR.'
  fi
}

# contents FILES DATABASES BYTES FOLDERS LINKS, in words.
contents() {
  count "$1" file files
  printf '%s' "$REPLY"
  count "$2" database databases
  printf ' (%s)' "$REPLY"
  size "$3"
  printf ' of %s' "$REPLY"
  count "$4" folder folders
  printf ' in %s' "$REPLY"
  count "$5" link links
  printf ', and %s' "$REPLY"
}

print_in_the_way() {
  local number=0 place
  if [ "$1" -gt 0 ]; then
    count "$1" 'file is there already and stays' 'files are there already and stay'
    say "  equal  $REPLY"
  fi
  [ "$2" -gt 0 ] || return 0
  count "$2" 'thing that differs is in the way: it moves' 'things that differ are in the way: they move'
  say "  moved  $REPLY to $BEFORE"
  awk '$1 == "D" { print $10 }' "$WORK/todo" > "$WORK/list" || full "$WORK"
  while read -r place; do
    number=$((number + 1))
    if [ "$number" -gt 10 ] && [ -z "$DRY_RUN" ]; then
      say "         and $(($2 - 10)) more"
      break
    fi
    show "$place"
    say "         $SHOW_UNDER$REPLY"
  done < "$WORK/list"
}

# print_secrets INDENT: those that cannot be had whole, by name.
print_secrets() {
  local kind name reason
  find_secrets
  [ -s "$WORK/secrets" ] || return 0
  say "$1"'Files with secrets that are not restored whole:'
  while read -r kind name reason; do
    show_place "$name"
    say "$1  $REPLY: $reason"
  done < "$WORK/secrets"
}

# Options that change nothing are said to, so that nobody relies on them.
print_unused() {
  if [ -z "$INTO_HOME" ]; then
    if [ "$MAPS" -gt 0 ]; then say '  --map changes nothing: agents and shell files are laid beside as they were'; fi
    if [ -n "$HOME_GIVEN" ]; then say '  --target-home: nothing is written there, as nothing proves who made this backup'; fi
  fi
  if [ -n "$NO_PACKAGES" ] && [ -z "$INTO_HOME" ]; then say '  --no-packages: no package is installed in any case'; fi
  if [ -n "$NO_AGENTS" ] && [ -z "$INTO_HOME" ]; then say '  --no-agents: no agent is loaded in any case'; fi
  case "$ONLY $VAULT_BYTES" in *' secrets ') say '  secrets: this backup holds no vault' ;; esac
}

# find_need: NEED, the bytes that the work takes at its peak: all streams that are needed, the larger of the tars once
# more while it is unpacked, the vault, and one chunk.
find_need() {
  NEED=$(awk -v bytes="${VAULT_BYTES:-0}" -v streams="$WORK/index.streams" -v chunks="$WORK/index.chunks" '
    BEGIN {
      while ((getline line < streams) > 0) { split(line, part, " "); if (part[2] == "tar") tar["t" part[1]] = part[4] }
      while ((getline line < chunks) > 0) { split(line, part, " "); if (part[2] + part[3] > chunk) chunk = part[2] + part[3] }
    }
    $1 != "M" && $1 != "D" { next }
    { need += 4096 }
    $5 in tar { if (!($5 in seen)) { seen[$5] = 1; need += tar[$5]; if (tar[$5] > largest) largest = tar[$5] } next }
    $5 == "vault" { vault = bytes }
    { need += $8 * ($5 == "large" ? 1 : 3) }
    END { if (need > 0) printf "%.0f", need + vault + largest + chunk + 1000000; else print 0 }' "$WORK/todo")
}

# free_near PATH: FREE, the free bytes where PATH is or would be.
free_near() {
  local dir=$1
  while [ ! -d "$dir" ]; do
    dir=${dir%/*}
    dir=${dir:-/}
  done
  free_bytes "$dir"
  FREE=$REPLY
}

# confirm: yes goes without saying, but not for an old backup.
confirm() {
  local now default=y
  [ -z "$YES" ] || return 0
  now=$(date -u +%s)
  age $((now > CREATED ? now - CREATED : 0))
  if [ -n "$STRIPPED" ]; then
    default=n
    ask 'Nothing proves who made this backup, and others have a vault. Go ahead all the same? [y/N] '
  elif [ $((now - CREATED)) -gt "$OLD_SECONDS" ]; then
    default=n
    ask "This backup is $REPLY old. Go ahead all the same? [y/N] "
  else
    ask "This backup is $REPLY old. Go ahead? [Y/n] "
  fi
  case ${REPLY:-$default} in
    y | Y | yes | Yes | YES) ;;
    *) die "$CANCELLED" 'cancelled. Nothing was written.' ;;
  esac
}

# ---------------------------------------------------------------------------------------------------------------------
# Scratch

# prepare_scratch makes the folder in the target where everything is built. What a killed restore left there is removed,
# and its folder for things in the way is used again.
prepare_scratch() {
  local dir=$TO/$SCRATCH_NAME
  if [ ! -d "$TO" ]; then
    # The target and what is above it get the user's own mode, scratch does not.
    (umask "$UMASK" && mkdir -p "$TO") 2> /dev/null || die "$FAILED" "$TO cannot be made." 'choose another place with --to DIR.'
    CREATED_TO[${#CREATED_TO[@]}]=$TO
  fi
  take_lock
  remove_leftover
  mkdir -m 700 "$dir" 2> /dev/null || die "$FAILED" "nothing can be written in $TO." 'see that the folder is writable, or choose another place with --to DIR.'
  SCRATCH=$dir SCRATCHES[${#SCRATCHES[@]}]=$dir
  printf '%s\n' "$STAMP" > "$SCRATCH/stamp" || full "$SCRATCH"
}

# take_lock: from here on no other restore, by this script or by maia-dr, writes into the target. The lock is a link that
# leads nowhere: making one succeeds once, and what it says, who holds it, is there at the same moment. That of a dead
# process may be removed by whoever made a link LOCK.DEAD first, if it still is the lock then; and if that one died, by
# whoever made LOCK.THAT-ONE. Nobody comes back from the dead, so nobody is wrong about it.
take_lock() {
  local link=$TO/$LOCK_NAME me held claim tries=0
  myself
  me=$REPLY
  while [ "$tries" -lt 20 ]; do
    tries=$((tries + 1))
    if [ -e "$link" ] && [ ! -L "$link" ]; then break; fi
    if ln -sn "$me" "$link" 2> /dev/null; then
      LOCK=$me
      # Claims on former locks mean nothing any more.
      for claim in "$link".*; do
        if [ -L "$claim" ]; then rm -f "$claim"; fi
      done
      return
    fi
    read_link "$link"
    held=$REPLY claim=$REPLY
    while [ -n "$claim" ]; do
      refuse_living "$claim"
      if ln -sn "$me" "$link.$claim" 2> /dev/null; then
        read_link "$link"
        if [ "$REPLY" = "$held" ]; then rm -f "$link"; fi
        rm -f "$link.$claim"
        break
      fi
      read_link "$link.$claim"
      claim=$REPLY
    done
  done
  if [ -e "$link" ] || [ -L "$link" ]; then lock_in_the_way; fi
  die "$FAILED" "nothing can be written in $TO." 'see that the folder is writable, or choose another place with --to DIR.'
}

# refuse_living HOLDER: ends the run unless the holder of a lock is dead.
refuse_living() {
  case $1 in
    *[!0-9A-Za-z:_-]* | :* | *:) ;;
    *:*)
      if is_running "$1"; then
        die "$BUSY" "another restore to $TO is running (process ${1%%:*})." 'wait until it is done.'
      fi
      return
      ;;
  esac
  lock_in_the_way
}

lock_in_the_way() {
  die "$FAILED" "$TO/$LOCK_NAME is in the way: it is no lock of a restore." 'move it away and run the same command again.'
}

# drop_locks: those on the target and on the home.
drop_locks() {
  local dir
  [ -n "$LOCK" ] || return 0
  for dir in "$MAIN_TO" "$TARGET_HOME"; do
    read_link "$dir/$LOCK_NAME"
    if [ "$REPLY" = "$LOCK" ]; then rm -f "$dir/$LOCK_NAME"; fi
  done
  LOCK=''
}

remove_leftover() {
  local dir=$TO/$SCRATCH_NAME stamp
  if [ ! -e "$dir" ] && [ ! -L "$dir" ]; then return; fi
  if [ -L "$dir" ] || [ ! -d "$dir" ]; then
    die "$FAILED" "$dir is in the way: it is not a folder of this script." 'move it away and run the same command again.'
  fi
  # The home's things lie with the target's.
  if [ -z "$SHOW_UNDER" ] && [ -f "$dir/stamp" ] && read -r stamp < "$dir/stamp"; then
    case $stamp in
      [0-9][0-9][0-9][0-9][0-9][0-9][0-9][0-9]_[0-9][0-9][0-9][0-9][0-9][0-9])
        STAMP=$stamp BEFORE=$TO.before-restore-$stamp
        ;;
    esac
  fi
  note 'Removing what an interrupted restore left ...'
  remove_tree "$dir" || die "$FAILED" "$dir cannot be removed." 'move it away and run the same command again.'
}

# tidy_up: removes what an interrupted restore left where nothing is left to do.
tidy_up() {
  if [ -e "$TO/$SCRATCH_NAME" ] || [ -L "$TO/$SCRATCH_NAME" ] || [ -L "$TO/$LOCK_NAME" ]; then
    take_lock
    remove_leftover
  fi
}

# remove_tree DIR: also where folders are not writable. find changes each before it looks into it.
remove_tree() {
  find "$1" -type d ! -perm -700 -exec chmod u+rwx {} \; 2> /dev/null
  rm -rf "$1" 2> /dev/null
}

# Called by traps.
clean_up() {
  local status=$?
  trap '' INT TERM HUP
  show_typing
  if [ -n "$CHILD" ]; then kill "$CHILD" 2> /dev/null; fi
  for REPLY in ${SCRATCHES[@]+"${SCRATCHES[@]}"}; do remove_tree "$REPLY"; done
  drop_locks
  if [ -n "$MAIN_WORK" ]; then rm -rf "$MAIN_WORK"; fi
  # Only if nothing got there.
  for REPLY in ${CREATED_TO[@]+"${CREATED_TO[@]}"}; do rmdir "$REPLY" 2> /dev/null; done
  exit "$status"
}

interrupted() {
  trap '' INT TERM HUP
  note ''
  die "$CANCELLED" 'cancelled.' 'run the same command again to go on: what is in place stays.'
}

# ---------------------------------------------------------------------------------------------------------------------
# Chunks to streams

# list_wanted: the streams that are needed, as "number kind bytes" in $WORK/wanted.
list_wanted() {
  awk -v streams="$WORK/index.streams" -v entries="$WORK/index.entries" -v wanted="$WORK/wanted" '
    BEGIN {
      printf "" > wanted
      while ((getline line < entries) > 0) { split(line, part, " "); if (part[1] == "b") number[part[8]] = part[3] }
    }
    ($1 == "M" || $1 == "D") && $5 != "-" { need[$5 == "large" ? number[$10] : $5] = 1 }
    END { while ((getline line < streams) > 0) { split(line, part, " "); if ((part[2] == "tar" ? "t" : "s") part[1] in need) print part[1], part[2], part[4] > wanted } }' \
    "$WORK/todo" || full "$WORK"
}

# assemble writes the streams that are needed to $SCRATCH/stream.N, a chunk at a time: it is copied, the copy is hashed
# and unpacked, its extents are written, and it is removed. A bad chunk leaves holes, which the files' hashes will find.
assemble() {
  local number gz raw sha total=0 done=0 i=0 list
  list_wanted
  while read -r number list; do : > "$SCRATCH/stream.$number" || full "$SCRATCH"; done < "$WORK/wanted"
  mkdir "$WORK/extents" || full "$WORK"
  # One file of extents for each chunk, a stream's together, so that a writer has one file open at a time.
  awk 'FILENAME == ARGV[1] { wanted[$1] = 1; next } $2 in wanted' "$WORK/wanted" "$WORK/index.extents" | sort -k1,1n -k2,2n -k3,3n |
    awk -v dir="$WORK/extents/" 'NR == 1 || $1 != last { if (NR > 1) close(dir last); last = $1 } { print $2, $3, $4, $5 > (dir last) }' || full "$WORK"
  while read -r number gz raw sha; do
    if [ -f "$WORK/extents/$number" ]; then total=$((total + 1)); fi
  done < "$WORK/index.chunks"
  [ "$total" -gt 0 ] || return 0
  while read -r number gz raw sha <&3; do
    list=$WORK/extents/$number
    [ -f "$list" ] || continue
    i=$((i + 1)) done=$((i * 100 / total))
    note "Chunk $i of $total ($done %)"
    if fetch_chunk "$gz" "$raw" "$sha"; then
      write_extents "$SCRATCH/chunk" "$SCRATCH/stream." "$list" || full "$SCRATCH"
    else
      note "  chunks/$sha.gz $REPLY: files that need it cannot be restored"
      printf '%s chunks/%s.gz %s\n' "$number" "$sha" "$REPLY" >> "$WORK/chunks.bad" || full "$WORK"
    fi
    rm -f "$SCRATCH/chunk" "$SCRATCH/chunk.gz" "$list"
  done 3< "$WORK/index.chunks"
}

# fetch_chunk GZ-BYTES RAW-BYTES SHA256: the uncompressed chunk in $SCRATCH/chunk. What is hashed is the copy that is
# then used, and no more is unpacked than the index allows. REPLY says why not.
fetch_chunk() {
  local file=$REPO/chunks/$3.gz states
  if grep -qxF -e "$3" "$WORK/undelivered"; then
    REPLY='was not delivered by OneDrive'
    return 1
  fi
  if [ ! -f "$file" ]; then
    REPLY='is missing'
    return 1
  fi
  if ! head -c $(($1 + 1)) < "$file" > "$SCRATCH/chunk.gz" 2> /dev/null; then
    free_bytes "$SCRATCH"
    [ "$REPLY" -gt "$1" ] || full "$SCRATCH"
    REPLY='cannot be read'
    return 1
  fi
  bytes_of "$SCRATCH/chunk.gz"
  if [ "$REPLY" -ne "$1" ]; then
    REPLY='does not have the size it had'
    return 1
  fi
  hash_of "$SCRATCH/chunk.gz"
  if [ "$REPLY" != "$3" ]; then
    REPLY='is damaged'
    return 1
  fi
  gzip -dc < "$SCRATCH/chunk.gz" 2> /dev/null | head -c $(($2 + 1)) > "$SCRATCH/chunk"
  states=("${PIPESTATUS[@]}")
  [ "${states[1]}" -eq 0 ] || full "$SCRATCH"
  bytes_of "$SCRATCH/chunk"
  if [ "$REPLY" -ne "$2" ] || [ "${states[0]}" -eq 1 ]; then
    REPLY='does not unpack to what it was'
    return 1
  fi
}

# write_extents CHUNK PREFIX LIST: LIST has "stream stream-offset chunk-offset length" a line.
write_extents() {
  # The dollars are those of perl and zsh.
  # shellcheck disable=SC2016
  case $WRITER in
    perl)
      perl -e '
        use strict; use warnings;
        my ($chunk, $prefix, $list) = @ARGV;
        open(my $in, "<", $chunk) or die "$chunk: $!";
        open(my $lines, "<", $list) or die "$list: $!";
        my ($out, $open) = (undef, "");
        while (my $line = <$lines>) {
          my ($stream, $to, $from, $left) = $line =~ /^(\d+) (\d+) (\d+) (\d+)$/ or die "extent $line";
          if ($stream ne $open) {
            if ($out) { close($out) or die "close: $!" }
            open($out, "+<", $prefix . $stream) or die "$prefix$stream: $!";
            $open = $stream;
          }
          defined sysseek($in, $from, 0) or die "seek: $!";
          defined sysseek($out, $to, 0) or die "seek: $!";
          while ($left > 0) {
            my $got = sysread($in, my $bytes, $left < 1048576 ? $left : 1048576);
            die "read: $!" unless $got;
            for (my $at = 0; $at < $got;) {
              my $put = syswrite($out, $bytes, $got - $at, $at);
              die "write: $!" unless defined $put;
              $at += $put;
            }
            $left -= $got;
          }
        }
        if ($out) { close($out) or die "close: $!" }
      ' "$1" "$2" "$3" 2> /dev/null
      ;;
    zsh)
      zsh -f -c '
        emulate -R zsh
        zmodload zsh/system || exit 1
        integer in out=0 to from left got
        local stream open= line part
        sysopen -r -u in $1 || exit 1
        for line in ${(f)"$(<$3)"}; do
          part=(${(s: :)line})
          stream=$part[1] to=$part[2] from=$part[3] left=$part[4]
          if [[ $stream != $open ]]; then
            if (( out )); then exec {out}>&-; fi
            sysopen -w -u out $2$stream || exit 1
            open=$stream
          fi
          sysseek -u $in $from && sysseek -u $out $to || exit 1
          while (( left > 0 )); do
            sysread -i $in -o $out -s $(( left < 262144 ? left : 262144 )) -c got || exit 1
            left=$(( left - got ))
          done
        done
      ' zsh "$1" "$2" "$3" 2> /dev/null
      ;;
    tail) write_slowly "$1" "$2" < "$3" ;;
  esac
}

# write_slowly CHUNK PREFIX: dd moves the position in the stream, which is one open file for all three commands.
write_slowly() {
  local stream to from length
  while read -r stream to from length; do
    {
      dd if=/dev/null bs=1 seek="$to" conv=notrunc 2> /dev/null || return 1
      tail -c +$((from + 1)) < "$1" 2> /dev/null | head -c "$length"
      # tail is cut short when head has enough.
      if [ "${PIPESTATUS[1]}" -ne 0 ]; then return 1; fi
    } 1<> "$2$stream"
  done
}

# ---------------------------------------------------------------------------------------------------------------------
# Streams to verified files
#
# Each source is unpacked in a folder of its own, so that a tar cannot reach what another one left: $SCRATCH/stage/t0,
# large, launchagents ... There everything has the path that it will have below the target.

stage() {
  local number kind bytes
  mkdir "$SCRATCH/stage" || full "$SCRATCH"
  while read -r number kind bytes <&3; do
    if [ "$kind" = tar ]; then
      mkdir "$SCRATCH/stage/t$number" || full "$SCRATCH"
      unpack_stream "$number" "$bytes" "$SCRATCH/stage/t$number"
      rm -f "$SCRATCH/stream.$number"
    fi
  done 3< "$WORK/wanted"
  stage_large
  stage_archive launchagents "$BESIDE/home/Library/LaunchAgents"
  stage_archive shell_configs "$BESIDE/home"
  stage_folder
  stage_vault
  list_needed
  verify_stage
}

# needs SOURCE: whether anything of it is to be restored.
needs() { awk -v source="$1" '($1 == "M" || $1 == "D") && $5 == source { found = 1; exit } END { exit !found }' "$WORK/todo"; }

# unpack_stream NUMBER BYTES DIR. A tar reader is lost in the holes that a bad chunk left, so each part between two holes
# is unpacked by itself, from the first header in it: "ustar" stands at byte 257 of one, and headers at multiples of 512.
unpack_stream() {
  local stream=$SCRATCH/stream.$1 from length
  awk -v stream="$1" 'FILENAME == ARGV[1] { bad[$1] = 1; next } $2 == stream && $1 in bad { printf "%.0f %.0f\n", $3, $3 + $5 }' \
    "$WORK/chunks.bad" "$WORK/index.extents" > "$WORK/holes" || full "$WORK"
  if [ ! -s "$WORK/holes" ]; then
    unpack "$3" < "$stream"
    return
  fi
  grep -abo ustar "$stream" | awk -F : '$1 % 512 == 257 { printf "%.0f\n", $1 - 257 }' > "$WORK/headers"
  awk -v end="$2" '
    function part(a, b) {
      while (next_header <= headers && header[next_header] < a) next_header++
      if (next_header <= headers && header[next_header] + 512 <= b) printf "%.0f %.0f\n", header[next_header], b - header[next_header]
    }
    BEGIN { next_header = 1; from = 0 }
    FILENAME == ARGV[1] { header[++headers] = $1 + 0; next }
    { part(from, $1 + 0); from = $2 + 0 }
    END { part(from, end + 0) }' "$WORK/headers" "$WORK/holes" > "$WORK/parts" || full "$WORK"
  while read -r from length <&4; do
    tail -c +$((from + 1)) < "$stream" 2> /dev/null | head -c "$length" > "$SCRATCH/part" || :
    # The zeros are the padding of a file whose last block is cut, and the end of the tar.
    head -c 10240 /dev/zero >> "$SCRATCH/part" || full "$SCRATCH"
    unpack "$3" < "$SCRATCH/part"
  done 4< "$WORK/parts"
  rm -f "$SCRATCH/part"
}

# unpack DIR: a tar on standard input. Neither owners, modes, attributes nor flags are taken from a tar. Its exit code means little: a name
# that is not in the locale's character set is a warning, and the files are compared afterwards.
unpack() {
  local options
  options=(-x -o --no-same-permissions)
  if [ "$TAR" = bsd ]; then
    # Else files named ._x are taken for attributes of x and vanish.
    options[3]=--options
    options[4]='!mac-ext'
    # It would take "a:" and a backslash at the beginning of a name for a disk's name.
    if awk '$8 ~ /(^|\/)([A-Za-z]:|\\0134)/ { found = 1; exit } END { exit !found }' "$WORK/index.entries"; then
      options[5]=-s
      options[6]=',^,./,S'
    fi
  fi
  # A part may begin within a tar that was a file of its own; what follows it counts too.
  if [ -s "$WORK/chunks.bad" ]; then options[7]=--ignore-zeros; fi
  # Not by its name: GNU tar takes one with a colon for another machine.
  if ! tar ${options[@]+"${options[@]}"} -f - -C "$1" > /dev/null 2>&1; then
    free_bytes "$SCRATCH"
    if [ "$REPLY" -lt 1000000 ]; then full "$SCRATCH"; fi
  fi
}

stage_large() {
  local number place path dir
  needs large || return 0
  awk 'FILENAME == ARGV[1] { if ($1 == "b") number[$8] = substr($3, 2); next }
    ($1 == "M" || $1 == "D") && $5 == "large" { print (number[$10] ~ /^[0-9]+$/ ? number[$10] : "-"), $10 }' "$WORK/index.entries" "$WORK/todo" > "$WORK/list" || full "$WORK"
  while read -r number place <&3; do
    printf -v path '%b' "$place"
    path=$SCRATCH/stage/large/$path dir=${path%/*}
    mkdir -p "$dir" || full "$SCRATCH"
    case $number in
      # An empty one has no stream.
      -) : > "$path" || full "$SCRATCH" ;;
      *) mv "$SCRATCH/stream.$number" "$path" || full "$SCRATCH" ;;
    esac
  done 3< "$WORK/list"
}

# stage_archive NAME FOLDER: NAME.tar.gz of the backup's folder, unpacked below FOLDER. Its size is known roughly, from
# the files in it.
stage_archive() {
  local limit file=$REPO/$ID/$1.tar.gz gz sum name
  needs "$1" || return 0
  mkdir -p "$SCRATCH/stage/$1/$2" || full "$SCRATCH"
  awk -v name="$1.tar.gz" '$3 == name' "$WORK/index.files" > "$WORK/numbers" || full "$WORK"
  read -r gz sum name < "$WORK/numbers"
  limit=$(awk -v source="$1" '$3 == source { n += 16384 + $6 } END { printf "%.0f", n + 65536 }' "$WORK/index.entries")
  if [ -f "$file" ] && head -c $((gz + 1)) < "$file" > "$SCRATCH/$name" 2> /dev/null; then
    hash_of "$SCRATCH/$name"
    if [ "$REPLY" = "$sum" ]; then
      gzip -dc < "$SCRATCH/$name" 2> /dev/null | head -c "$limit" > "$SCRATCH/archive" || :
      unpack "$SCRATCH/stage/$1/$2" < "$SCRATCH/archive"
    fi
  fi
  rm -f "$SCRATCH/$name" "$SCRATCH/archive"
}

# stage_folder: single files of the backup's folder.
stage_folder() {
  local bytes place name
  needs folder || return 0
  mkdir -p "$SCRATCH/stage/folder/$BESIDE/packages" || full "$SCRATCH"
  awk '($1 == "M" || $1 == "D") && $5 == "folder" { print $8, $10 }' "$WORK/todo" > "$WORK/list" || full "$WORK"
  while read -r bytes place <&3; do
    name=${place##*/}
    if [ -f "$REPO/$ID/$name" ]; then
      head -c $((bytes + 1)) < "$REPO/$ID/$name" > "$SCRATCH/stage/folder/$place" 2> /dev/null
    fi
  done 3< "$WORK/list"
}

# stage_vault: the whole files. The tar itself is never on the disk.
stage_vault() {
  local component name place path to states
  if needs vault; then
    mkdir "$SCRATCH/vault" "$SCRATCH/stage/vault" || full "$SCRATCH"
    decrypt | unpack "$SCRATCH/vault"
    states=("${PIPESTATUS[@]}")
    # It has said why.
    [ "${states[1]}" -eq 0 ] || exit "$FAILED"
    awk 'FILENAME == ARGV[1] { if ($1 == "M" || $1 == "D") if ($5 == "vault") needed[$10] = 1; next } $3 in needed' "$WORK/todo" "$WORK/vault.files" > "$WORK/list" || full "$WORK"
    while read -r component name place <&3; do
      printf -v path '%b' "$name"
      printf -v to '%b' "$place"
      path=$SCRATCH/vault/files/$component/$path to=$SCRATCH/stage/vault/$to
      if [ -f "$path" ] && [ ! -L "$path" ]; then
        mkdir -p "${to%/*}" || full "$SCRATCH"
        mv "$path" "$to" || full "$SCRATCH"
      fi
    done 3< "$WORK/list"
    remove_tree "$SCRATCH/vault"
  fi
}

# list_needed: the lines of todo that are missing or differ, each with its name in the stage in front.
list_needed() {
  awk '($1 == "M" || $1 == "D") && $3 != "d" && $3 != "i" { print $5 "/" ($10 == "\\0055" ? "-" : $10), $0 }' "$WORK/todo" > "$WORK/needed" || full "$WORK"
}

# verify_stage: afterwards the stage holds exactly what the index names and the target needs, with the right types,
# bytes, modes and times. What cannot be had is in $WORK/missing.
verify_stage() {
  local dir=$SCRATCH/stage
  find "$dir" -type d ! -perm -700 -exec chmod u+rwx {} \; 2> /dev/null
  find "$dir" -type f -links 1 ! -perm -400 -exec chmod u+r {} + 2> /dev/null
  list_stage "$dir" > "$WORK/staged" || full "$WORK"
  # A file with a second name (a hard link) could have its other name anywhere: it is listed as other, and goes.
  awk -v base="$WORK/stage." "$AWK_LIBRARY"'
    BEGIN { printf "" > (base "files"); printf "" > (base "links"); printf "" > (base "extra"); printf "" > (base "absent") }
    FILENAME ~ /todo$/ { if ($3 == "d") folder[$5 "/" ($10 == "\\0055" ? "-" : $10)] = 1; next }
    FILENAME ~ /needed$/ {
      n++; line[n] = $0; name[n] = $1; bare[n] = $6 " " $11
      letter[$1] = $4 == "l" ? "l" : "f"
      for (up = parent($1); up != "" && !(up in above); up = parent(up)) folder[up] = above[up] = 1
      next
    }
    {
      if ($1 == "d" ? $2 in folder || $2 !~ /\// : $2 in letter && letter[$2] == $1) there[$2] = 1
      else print $2 > (base "extra")
    }
    END {
      for (i = 1; i <= n; i++) {
        if (letter[name[i]] == "l") print line[i] > (base "links")
        else if (name[i] in there) print line[i] > (base "files")
        else print bare[i] > (base "absent")
      }
    }' "$WORK/todo" "$WORK/needed" "$WORK/staged" || full "$WORK"
  remove_staged "$dir" "$WORK/stage.extra"
  report_missing 'could not be unpacked' < "$WORK/stage.absent"
  verify_bytes "$dir"
  set_attributes "$dir"
  make_links "$dir"
  check_databases "$dir"
}

# list_stage DIR: "letter name" of everything below it: f file, d folder, l link, o other.
list_stage() {
  (
    cd "$1" || exit 1
    find . -type f -links 1 -print0 | encode_names f &&
      find . -type d ! -name . -print0 | encode_names d &&
      find . -type l -print0 | encode_names l &&
      find . ! -type d ! -type l ! \( -type f -links 1 \) -print0 | encode_names o
  )
}

# remove_staged DIR LIST
remove_staged() {
  [ -s "$2" ] || return 0
  decode_names < "$2" > "$WORK/names" || full "$WORK"
  (cd "$1" && xargs -0 -n 250 rm -rf < "$WORK/names") || die "$FAILED" "$1 cannot be cleaned." 'run the same command again.'
}

# report_missing REASON: "source name" lines on standard input.
report_missing() {
  local source place reason
  while read -r source place; do
    reason=$1
    case $source in
      t* | large) if [ -s "$WORK/chunks.bad" ]; then reason='part of it lay in a chunk that is missing or damaged'; fi ;;
      launchagents | shell_configs) reason="$source.tar.gz is missing or damaged" ;;
      folder) reason='is missing or damaged in the backup' ;;
    esac
    printf '%s %s\n' "$place" "$reason" || full "$WORK"
  done >> "$WORK/missing"
}

# verify_bytes DIR: compares every file's size and hash; those that differ go. A size first: a sparse file in a hostile
# tar could take for ever to hash. A line of stage.good is the mode and the time that the file has, then its line of
# needed.
verify_bytes() {
  cut -d ' ' -f 1 "$WORK/stage.files" > "$WORK/list" || full "$WORK"
  measure "$1" "$WORK/list" "$WORK/measures"
  awk -v bad="$WORK/stage.bad" -v same="$WORK/same" 'BEGIN { printf "" > bad; printf "" > same }
    FILENAME == ARGV[1] { bytes[FNR] = $1; measure[FNR] = $2 " " $3; next }
    bytes[FNR] "" == $9 "" { print measure[FNR], $0 > same; next }
    { print $1, $6, $11 > bad }' "$WORK/measures" "$WORK/stage.files" || full "$WORK"
  cut -d ' ' -f 3 "$WORK/same" > "$WORK/list" || full "$WORK"
  hash_list "$1" "$WORK/list" "$WORK/sums"
  awk -v bad="$WORK/stage.bad" 'FILENAME == ARGV[1] { sum[FNR] = $1; next }
    sum[FNR] == $12 { print; next } { print $3, $8, $13 >> bad }' "$WORK/sums" "$WORK/same" > "$WORK/stage.good" || full "$WORK"
  cut -d ' ' -f 1 "$WORK/stage.bad" > "$WORK/list" || full "$WORK"
  remove_staged "$1" "$WORK/list"
  cut -d ' ' -f 2- "$WORK/stage.bad" > "$WORK/list" || full "$WORK"
  report_missing 'its bytes are not what they were' < "$WORK/list"
}

# set_attributes DIR: modes and times of the good files, where they are not right yet.
set_attributes() {
  awk -v stat="$STAT" -v touch="$TOUCH" -v modes="$WORK/stage.modes" -v times="$WORK/stage.times" "$AWK_LIBRARY"'
    BEGIN { printf "" > modes; printf "" > times }
    mode($1) != mode($9) { print $9, $3 > modes }
    !same_time($2, $10) { print civil($10), $3 > times }' "$WORK/stage.good" || full "$WORK"
  sort "$WORK/stage.modes" > "$WORK/stage.sorted" || full "$WORK"
  set_modes "$1" "$WORK/stage.sorted"
  set_times "$1" "$WORK/stage.times"
}

# make_links DIR: a link that is not as the index says is made anew; the index holds all there is to know of it.
make_links() {
  local name mtime link path file want
  : > "$WORK/stage.times" || full "$WORK"
  cut -d ' ' -f 1,8,12 "$WORK/stage.links" > "$WORK/list" || full "$WORK"
  while read -r name mtime link <&3; do
    printf -v path '%b' "$name"
    printf -v want '%b' "$link"
    file=$1/$path
    if [ -L "$file" ]; then
      read_link "$file"
      if [ "$REPLY" = "$want" ]; then continue; fi
      rm -f "$file"
    fi
    mkdir -p "${file%/*}" || full "$SCRATCH"
    ln -s -- "$want" "$file" || full "$SCRATCH"
    printf '%s %s\n' "$mtime" "$name" >> "$WORK/stage.times" || full "$WORK"
  done 3< "$WORK/list"
  [ -s "$WORK/stage.times" ] || return 0
  awk "$AWK_LIBRARY"'{ print civil($1), $2 }' "$WORK/stage.times" > "$WORK/list" || full "$WORK"
  set_times "$1" "$WORK/list" -h
}

# check_databases DIR: SQLite's own check. A database that fails it is restored all the same: its bytes are those of
# the backup.
check_databases() {
  local name place path answer
  awk '$6 == "q" || $6 == "b" { print $3, $13 }' "$WORK/stage.good" > "$WORK/list" || full "$WORK"
  while read -r name place <&3; do
    DATABASES=$((DATABASES + 1))
    [ -n "$SQLITE" ] || continue
    printf -v path '%b' "$name"
    # Under a plain name: SQLite is given a URI, in which a name may hold special characters.
    ln -s "$1/$path" "$SCRATCH/check.db" || full "$SCRATCH"
    answer=$(cd "$SCRATCH" && sqlite3 -init /dev/null -batch -readonly 'file:check.db?immutable=1' 'PRAGMA integrity_check(1);' 2>&1)
    rm -f "$SCRATCH/check.db"
    if [ "$answer" != ok ]; then
      answer=${answer//[![:print:]]/ }
      printf '%s %s\n' "$place" "${answer:0:200}" >> "$WORK/doubtful" || full "$WORK"
    fi
  done 3< "$WORK/list"
}

# ---------------------------------------------------------------------------------------------------------------------
# Into the target

# merge puts verified files into place by renaming. Folders come first, top down: one that is not there yet arrives with
# all that it holds. Then files, a folder at a time.
merge() {
  merge_folders
  merge_files
}

merge_folders() {
  local source place path file staged
  awk '$3 == "d" || $3 == "i" { print $5, $10 }' "$WORK/todo" > "$WORK/list" || full "$WORK"
  while read -r source place <&3; do
    printf -v path '%b' "$place"
    file=$TO/$path staged=$SCRATCH/stage/$source/$path
    if [ -L "$file" ] || { [ -e "$file" ] && [ ! -d "$file" ]; }; then move_aside "$path"; fi
    if [ -d "$file" ] && [ ! -L "$file" ]; then
      # It gets its own mode at the end.
      if [ ! -w "$file" ] || [ ! -x "$file" ]; then chmod u+rwx "$file" 2> /dev/null; fi
      continue
    fi
    if [ "$source" != - ] && [ -d "$staged" ] && [ ! -L "$staged" ]; then
      mv -n "$staged" "${file%/*}/" 2> /dev/null
    fi
    if [ ! -d "$file" ]; then
      mkdir "$file" 2> /dev/null || printf '%s could not be made\n' "$place" >> "$WORK/missing"
    fi
  done 3< "$WORK/list"
}

# move_aside PATH: what is there goes to the folder for things in the way.
move_aside() {
  local to=$BEFORE/$1 number=0
  mkdir -p "${to%/*}" 2> /dev/null || die "$FAILED" "$BEFORE cannot be made, and things are in the way." 'see that the folder above the target is writable.'
  # Two of one name meet only if an interrupted run moved one already.
  while [ -e "$to" ] || [ -L "$to" ]; do
    number=$((number + 1)) to=$BEFORE/$1.$number
  done
  mv -n "$TO/$1" "$to" 2> /dev/null
  if [ -e "$TO/$1" ] || [ -L "$TO/$1" ]; then
    die "$FAILED" "$TO/$1 is in the way and cannot be moved." 'see that its folder is writable, then run the same command again.'
  fi
}

# leads_out FOLDER: whether a link stands in its path below the target. The index has no file below a link, but a disk that does not
# tell upper case from lower takes the link "a" for the folder "A".
leads_out() {
  local path=$1
  while [ "$path" != "$TO" ] && [ -n "$path" ]; do
    if [ -L "$path" ]; then return 0; fi
    path=${path%/*}
  done
  return 1
}

# without_links FILE: its lines, "... name", but for those whose place is a link, or behind one.
without_links() {
  local line path
  while IFS= read -r line; do
    printf -v path '%b' "${line##* }"
    if ! leads_out "$TO/$path"; then printf '%s\n' "$line" || full "$WORK"; fi
  done < "$1" > "$WORK/list"
  mv "$WORK/list" "$1" || full "$WORK"
}

merge_files() {
  local type bytes place path file folder last='' number=0 suffix source staged batch
  awk '
    FILENAME == ARGV[1] { missing[$1] = 1; next }
    ($1 == "M" || $1 == "D") && $3 != "d" && $3 != "i" && !($10 in missing) {
      key = $10
      if (!sub("/[^/]*$", "", key)) key = ""
      print key "\t" $3, $5, $8, $10
    }' "$WORK/missing" "$WORK/todo" | sort -t $'\t' -k 1,1 | cut -f 2 > "$WORK/list" || full "$WORK"
  batch=()
  while read -r type source bytes place <&3; do
    printf -v path '%b' "$place"
    file=$TO/$path folder=${file%/*}
    if [ "$folder" != "$last" ] || [ "$number" -ge 100 ]; then
      move_batch "$last" "$number" ${batch[@]+"${batch[@]}"}
      batch=() number=0 last=$folder
      if leads_out "$folder"; then
        show "$place"
        die "$FAILED" "$REPLY would lie behind a link: the backup holds two things whose names this disk takes for one." 'choose a place on another disk with --to DIR.'
      fi
    fi
    staged=$SCRATCH/stage/$source/$path
    if [ -e "$staged" ] || [ -L "$staged" ]; then
      if [ -e "$file" ] || [ -L "$file" ]; then move_aside "$path"; fi
      case $type in
        q | b)
          # SQLite would play a journal of another state into the restored database.
          for suffix in -wal -shm -journal; do
            if [ -e "$file$suffix" ] || [ -L "$file$suffix" ]; then move_aside "$path$suffix"; fi
          done
          ;;
      esac
      batch[number]=$staged
      number=$((number + 1))
    elif [ ! -e "$file" ] && [ ! -L "$file" ]; then
      printf '%s could not be put into place\n' "$place" >> "$WORK/missing" || full "$WORK"
      continue
    fi
    if [ "$type" != l ]; then
      RESTORED=$((RESTORED + 1)) RESTORED_BYTES=$((RESTORED_BYTES + bytes))
    fi
  done 3< "$WORK/list"
  move_batch "$last" "$number" ${batch[@]+"${batch[@]}"}
}

# move_batch FOLDER NUMBER FILE...
move_batch() {
  local folder=$1 file
  [ "$2" -gt 0 ] || return 0
  shift 2
  mv -n "$@" "$folder/" 2> /dev/null
  for file in "$@"; do
    if [ -e "$file" ] || [ -L "$file" ]; then
      die "$FAILED" "${file##*/} could not be put into $folder." 'see that the folder is writable and the disk not full, then run the same command again.'
    fi
  done
}

# finish_folders: modes and times last, when nothing in them changes any more; the deepest first, as a mode may lock
# the folder.
finish_folders() {
  find_folders_off
  without_links "$WORK/folders.times"
  without_links "$WORK/folders.modes"
  set_times "$TO" "$WORK/folders.times"
  set_modes "$TO" "$WORK/folders.modes"
}

# ---------------------------------------------------------------------------------------------------------------------
# Agents
#
# They come last, when everything that they run is in place. launchctl print is asked only whether it succeeds.

# not_activated: why no agent is loaded, in REPLY; empty if they are.
not_activated() {
  REPLY=''
  if [ -n "$NO_AGENTS" ]; then
    REPLY='--no-agents'
  elif ! command -v launchctl > /dev/null 2>&1 || ! command -v plutil > /dev/null 2>&1; then
    REPLY='only macOS has launchctl and plutil'
  elif ! physical "$HOME" || [ "$REPLY" != "$TARGET_HOME" ]; then
    REPLY='that home is not yours'
  else
    REPLY=''
  fi
}

# examine_agents: what is to be done with each agent that lies in the home now: "verdict place label reason" in $WORK/agents. The
# verdict is load, running (already, with this very file), or why it is not loaded: missing (its program), failed, other. A
# label that is not known is -; one that is fine holds no space.
examine_agents() {
  local state place path file reason verdict label program disabled seen=' '
  : > "$WORK/agents" || full "$WORK"
  : > "$WORK/programs" || full "$WORK"
  awk '$4 == "launchagents" && $3 == "f" { print $1, $10 }' "$WORK/todo" > "$WORK/list" || full "$WORK"
  while read -r state place <&3; do
    printf -v path '%b' "$place"
    file=$TO/$path label=- program='' disabled=''
    if [ ! -f "$file" ] || [ -L "$file" ]; then continue; fi
    not_activated
    verdict=other reason=$REPLY
    if [ -n "$reason" ] && command -v plutil > /dev/null 2>&1 && plutil -lint "$file" > /dev/null 2>&1; then
      # Its program says which Python the packages are for.
      read_agent "$file"
      label=- disabled=''
    fi
    if [ -z "$reason" ]; then
      verdict=load
      if ! plutil -lint "$file" > /dev/null 2>&1; then
        verdict=failed reason='it is no property list'
      else
        read_agent "$file"
        case $label in '' | */* | *[![:graph:]]*) label=- verdict=failed reason='it has no label that launchd takes' ;; esac
      fi
    fi
    if [ "$verdict" = load ]; then
      if grep -qxF -e "$place" "$WORK/asitwas"; then
        verdict=other reason='its paths could not be changed to those of this machine'
      elif [ -n "$disabled" ]; then
        verdict=other reason='its file says that it is disabled'
      elif ! runs "$program"; then
        verdict=missing reason=$REPLY
      else
        case $seen in *" $label "*) verdict=other reason='another file has the same label' ;; esac
      fi
    fi
    if [ "$verdict" = load ]; then
      seen="$seen$label "
      if [ "$state" = E ] && launchctl print "gui/$UID/$label" > /dev/null 2>&1; then verdict=running; fi
    fi
    printf '%s\n' "$program" >> "$WORK/programs" || full "$WORK"
    printf '%s %s %s %s\n' "$verdict" "$place" "$label" "$reason" >> "$WORK/agents" || full "$WORK"
  done 3< "$WORK/list"
}

# read_agent FILE: label, program and disabled of examine_agents. As plutil writes a list, what lies in the outermost dictionary is
# indented by one tab. An agent may hold secrets, so the whole list goes through a pipe.
read_agent() {
  plutil -convert xml1 -o - "$1" 2> /dev/null | awk '
    function text(s) {
      if (s !~ /^\t+<string>.*<\/string>$/) return ""
      sub(/^\t+<string>/, "", s); sub(/<\/string>$/, "", s)
      gsub(/&lt;/, "<", s); gsub(/&gt;/, ">", s); gsub(/&quot;/, "\"", s); gsub(/&apos;/, "\047", s); gsub(/&amp;/, "\\&", s)
      return s
    }
    /^\t<key>/ { key = $0; sub(/^\t<key>/, "", key); sub(/<\/key>$/, "", key); item = 0; next }
    key == "Label" && /^\t<string>/ { label = text($0) }
    key == "Program" && /^\t<string>/ { program = text($0) }
    key == "ProgramArguments" && /^\t\t<string>/ && item++ == 0 { first = text($0) }
    key == "Disabled" && /^\t<true\/>/ { disabled = "yes" }
    END { print label; print (program == "" ? first : program); print disabled }' > "$WORK/numbers" || full "$WORK"
  {
    IFS= read -r label
    IFS= read -r program
    IFS= read -r disabled
  } < "$WORK/numbers"
}

# runs PROGRAM: whether launchd finds it. REPLY says why not. Apple's git and python3 are there before what they start is:
# then they open a dialog.
runs() {
  local dir program=''
  REPLY='it names no program'
  [ -n "$1" ] || return 1
  REPLY="$1 does not exist"
  case $1 in
    /*) program=$1 ;;
    */*) return 1 ;;
    *) for dir in /usr/bin /bin /usr/sbin /sbin; do if [ -x "$dir/$1" ]; then program=$dir/$1; break; fi; done ;;
  esac
  if [ -z "$program" ] || [ -d "$program" ] || [ ! -x "$program" ]; then return 1; fi
  case $program in
    /usr/bin/git | /usr/bin/python3 | /usr/bin/pip3)
      REPLY="$program needs the Command Line Tools: xcode-select --install"
      xcode-select -p > /dev/null 2>&1 || return 1
      ;;
  esac
}

# agents_to_load: whether there are any.
agents_to_load() { grep -q '^load ' "$WORK/agents"; }

# load_agents does it, and changes the verdict to running or failed.
load_agents() {
  local verdict place label reason path
  if agents_to_load; then note 'Loading the agents ...'; fi
  while read -r verdict place label reason <&3; do
    if [ "$verdict" = load ]; then
      printf -v path '%b' "$place"
      if load_agent "$label" "$TO/$path"; then verdict=running reason=''; else verdict=failed reason=$REPLY; fi
    fi
    printf '%s %s %s %s\n' "$verdict" "$place" "$label" "$reason"
  done 3< "$WORK/agents" > "$WORK/list" || full "$WORK"
  mv "$WORK/list" "$WORK/agents" || full "$WORK"
}

# load_waiting: those whose program was missing and is there by now.
load_waiting() {
  local verdict place label reason program path running
  running=$(awk '$1 == "running" { print $3 }' "$WORK/agents")
  while read -r verdict place label reason <&3 && IFS= read -r program <&4; do
    if [ "$verdict" = missing ]; then
      if ! runs "$program"; then
        reason=$REPLY
      elif grep -qxF -e "$label" <<< "$running"; then
        verdict=other reason='another file has the same label'
      else
        printf -v path '%b' "$place"
        note "Loading the agent $label ..."
        if load_agent "$label" "$TO/$path"; then verdict=running reason=''; else verdict=failed reason=$REPLY; fi
      fi
    fi
    printf '%s %s %s %s\n' "$verdict" "$place" "$label" "$reason"
  done 3< "$WORK/agents" 4< "$WORK/programs" > "$WORK/list" || full "$WORK"
  mv "$WORK/list" "$WORK/agents" || full "$WORK"
}

# load_agent LABEL FILE. bootout returns before the agent is gone, and until then bootstrap fails.
load_agent() {
  local domain=gui/$UID code tries=0
  if command -v xattr > /dev/null 2>&1; then xattr -d com.apple.quarantine "$2" > /dev/null 2>&1; fi
  launchctl enable "$domain/$1" > /dev/null 2>&1
  if launchctl print "$domain/$1" > /dev/null 2>&1; then
    launchctl bootout "$domain/$1" > /dev/null 2>&1
    while [ "$tries" -lt 40 ] && launchctl print "$domain/$1" > /dev/null 2>&1; do
      tries=$((tries + 1))
      sleep 0.25
    done
  fi
  tries=0
  while :; do
    tries=$((tries + 1))
    launchctl bootstrap "$domain" "$2" > /dev/null 2>&1
    code=$?
    if [ "$code" -eq 125 ]; then
      REPLY="there is no desktop session: log in at the Mac's desktop and run the same command again"
      return 1
    fi
    if [ "$code" -eq 0 ] || [ "$tries" -ge 5 ]; then break; fi
    sleep 0.5
  done
  if launchctl print "$domain/$1" > /dev/null 2>&1; then return 0; fi
  REPLY="launchctl bootstrap ended with $code: it may be turned off in System Settings > General > Login Items"
  return 1
}

# print_agents: what became of them. The loss of the backups themselves comes first.
print_agents() {
  local verdict place label reason running=0 others=0 own=''
  [ -s "$WORK/agents" ] || return 0
  while read -r verdict place label reason; do
    case $verdict in
      running) running=$((running + 1)) ;;
      *) others=$((others + 1)) ;;
    esac
    case $verdict$label in missingcom.maia.disaster-recovery | missingcom.maia.recovery-menu) own=yes ;; esac
  done < "$WORK/agents"
  # The backquotes are for people.
  # shellcheck disable=SC2016
  if [ -n "$own" ]; then say 'Backups are not running: install Maia Recovery, run `maia-dr setup`.'; fi
  count "$running" 'agent is loaded.' 'agents are loaded.'
  say "$REPLY"
  [ "$others" -gt 0 ] || return 0
  say 'Agents that are in place and not loaded:'
  while read -r verdict place label reason; do
    if [ "$verdict" != running ]; then
      show "$place"
      say "  ${REPLY##*/}: ${reason//[![:print:]]/?}"
    fi
  done < "$WORK/agents"
}

# ---------------------------------------------------------------------------------------------------------------------
# Packages
#
# A phase of its own, which can be done again at any time (--only packages): what is done has a line in packages.done, what was
# said a file in packages.log. The lists are data: a Brewfile is Ruby, so it is read here and not by brew. Only lists of a
# proven backup are used. Failures stop nothing.

# plan_packages: what is to be installed and is not yet, in $WORK/packages, as "kind name version place"; kinds in the order in which
# they are wanted. The place of a pip package is the Python that it was listed for: v:PATH, an environment below the root;
# o:N, an interpreter that gets one of its own; p:PATH, one that takes it itself; or - if nothing is known of it. What cannot be
# installed from here is in $WORK/byhand.
plan_packages() {
  local file root kind path version dir=$MAIN_TO/$BESIDE
  : > "$WORK/packages" || full "$WORK"
  : > "$WORK/byhand" || full "$WORK"
  for file in Brewfile pip_list.txt requirements_freeze.txt; do
    : > "$WORK/$file" || full "$WORK"
    awk -v name="$file" '$3 == "folder" && $8 ~ ("/packages/" name "$") { print $7 }' "$MAIN_WORK/index.entries" > "$WORK/sum" || full "$WORK"
    # In the backup, as it is asked before the lists are in place.
    if [ ! -f "$REPO/$ID/$file" ] || ! head -c 10000000 < "$REPO/$ID/$file" > "$WORK/list" 2> /dev/null; then continue; fi
    hash_of "$WORK/list"
    if grep -qxF -e "$REPLY" "$WORK/sum"; then mv "$WORK/list" "$WORK/$file" || full "$WORK"; fi
  done
  if [ ! -s "$WORK/pip_list.txt" ]; then cp "$WORK/requirements_freeze.txt" "$WORK/pip_list.txt" || full "$WORK"; fi
  encoded "$ROOT"
  root=$REPLY
  { printf 'root %s\n' "$root" && cat "$MAIN_WORK/index.tools"; } > "$WORK/tools" || full "$WORK"
  if [ -f "$dir/packages.done" ]; then cat "$dir/packages.done"; fi > "$WORK/packages.done" || full "$WORK"
  awk -v hand="$WORK/byhand" '
    function plain(s) { return s ~ /^[A-Za-z0-9][A-Za-z0-9@._+\/-]*$/ && s !~ /\.\./ }
    # place_of: of a heading of the list, "# PATH VERSION" or that with a note behind it.
    function place_of(line, i) {
      sub(/^# /, "", line)
      sub(/ \(no pip there.*$/, "", line)
      sub(/ [^ ]*$/, "", line)
      gsub(/\\/, "\\0134", line); gsub(/ /, "\\0040", line)
      for (i = 1; i <= venvs; i++) if (index(line, root "/" venv[i] "/") == 1) return "v:" venv[i]
      if (line in python) return python[line]
      return line ~ /^\/[!-~]*$/ ? "p:" line : "-"
    }
    FILENAME == ARGV[1] {
      if ($1 == "root") root = $2
      else if ($1 == "venv") venv[++venvs] = $2
      else if ($1 == "python") python[$5] = $3 == 1 ? "o:" $2 : "p:" $5
      next
    }
    FILENAME == ARGV[2] { done[$0] = 1; next }
    FILENAME == ARGV[4] && /^# \// { place = place_of($0); next }
    /^[ \t]*(#|$)/ { next }
    FILENAME == ARGV[3] {
      name = $2
      gsub(/[",]/, "", name)
      # One with an address of its own is for a person to look at.
      if (($1 == "tap" || $1 == "brew" || $1 == "cask") && plain(name) && !($1 == "tap" && NF > 2)) { if (!(($1 " " name) in done)) list[$1] = list[$1] $1 " " name " - -\n" }
      else print "Brewfile:", $0 > hand
      next
    }
    {
      if (place == "") place = "-"
      split($0, part, "==")
      if (part[1] == "pip" || part[1] == "setuptools" || part[1] == "wheel") next
      if ($0 ~ /^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9][A-Za-z0-9._+!-]*$/) {
        key = "pip " $0 (place == "-" ? "" : " " place)
        if (!(key in done) && !(key in seen)) list["pip"] = list["pip"] "pip " part[1] " " part[2] " " place "\n"
        seen[key] = 1
      }
      else print "pip:", $0 > hand
    }
    END { printf "%s%s%s%s", list["tap"], list["brew"], list["cask"], list["pip"] }' \
    "$WORK/tools" "$WORK/packages.done" "$WORK/Brewfile" "$WORK/pip_list.txt" > "$WORK/packages" || full "$WORK"
  # Environments that nothing goes into are made, too.
  while read -r kind path version; do
    [ "$kind" = venv ] || continue
    venv_of "v:$path"
    if [ ! -x "$REPLY/bin/python3" ]; then printf 'venv %s - v:%s\n' "$path" "$path"; fi
  done < "$MAIN_WORK/index.tools" >> "$WORK/packages" || full "$WORK"
}

# ask_packages: whether they are to be installed now. Nothing is where this is no Mac, or nothing proves who made the lists.
ask_packages() {
  local kind name version place brews=0 pips=0 taps=''
  INSTALL=''
  if [ -z "$AUTHENTICATED" ] || [ -n "$NO_PACKAGES$ONLY" ] || ! command -v xcode-select > /dev/null 2>&1; then return; fi
  plan_packages
  [ -s "$WORK/packages" ] || return 0
  while read -r kind name version place; do
    case $kind in
      tap) case $name in homebrew/*) ;; *) taps="$taps $name" ;; esac ;;
      pip) pips=$((pips + 1)) ;;
      venv) ;;
      *) brews=$((brews + 1)) ;;
    esac
  done < "$WORK/packages"
  say "Packages to install: $brews by Homebrew, $pips by pip."
  if [ -n "$taps" ]; then say "  from these sources of others, which are trusted then:$taps"; fi
  awk '$4 ~ /^[vo]:/ && !seen[$4]++ { print $4 }' "$WORK/packages" > "$WORK/list" || full "$WORK"
  while read -r place; do
    venv_of "$place"
    say "  into a Python environment: $REPLY"
  done < "$WORK/list"
  find_tools
  if [ -z "$YES" ] && ! xcode-select -p > /dev/null 2>&1; then say '  first the Command Line Tools, which macOS offers in a window of its own'; fi
  if [ -z "$YES$BREW" ] && [ "$brews" -gt 0 ]; then say '  first Homebrew, by its own installer; macOS asks for the password of this Mac'; fi
  INSTALL=yes
  [ -z "$YES$DRY_RUN" ] || return 0
  ask 'Install them when the files are in place? They can wait (--only packages). [Y/n] '
  case ${REPLY:-y} in y | Y | yes | Yes | YES) ;; *) INSTALL='' ;; esac
}

# find_tools: BREW and PYTHON, empty if they are not there; PYTHON is the one that most agents run.
find_tools() {
  local place
  BREW='' PYTHON=''
  for place in brew /opt/homebrew/bin/brew /usr/local/bin/brew; do
    if command -v "$place" > /dev/null 2>&1; then
      BREW=$place
      break
    fi
  done
  if [ -f "$WORK/home/programs" ]; then
    awk '/\/python[0-9.]*$/ { n[$0]++ } END { for (p in n) print n[p], p }' "$WORK/home/programs" | sort -k1,1nr -k2 > "$WORK/list" || full "$WORK"
    while read -r REPLY place; do
      if [ -z "$PYTHON" ] && runs "$place"; then PYTHON=$place; fi
    done < "$WORK/list"
  fi
  if [ -z "$PYTHON" ] && runs /usr/bin/python3; then PYTHON=/usr/bin/python3; fi
}

# venv_of PLACE: the folder of the environment that packages of v:PATH or o:N go into, in REPLY.
venv_of() {
  local path number=${1#o:}
  case $1 in
    v:*) printf -v path '%b' "${1#v:}" ;;
    o:0) path=.maia-venv ;;
    *) path=.maia-venv-$number ;;
  esac
  REPLY=$MAIN_TO/$path
}

# version_of PYTHON: 3.9, in REPLY; empty if it does not run.
version_of() {
  REPLY=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2> /dev/null < /dev/null)
  case $REPLY in *[!0-9.]*) REPLY='' ;; esac
}

# find_base VERSION HOME: a Python to make an environment with, in REPLY: one of that version (3.9), first where it was, else any
# other. Fails if there is none.
find_base() {
  local dir place any=''
  for dir in "$2" "/opt/homebrew/opt/python@$1/bin" "/usr/local/opt/python@$1/bin" /opt/homebrew/bin /usr/local/bin "$(command -v "python$1")" /usr/bin "$(command -v python3)"; do
    for place in "$dir/python$1" "$dir/python3" "$dir"; do
      case $place in /*) ;; *) continue ;; esac
      if [ -d "$place" ] || ! runs "$place"; then continue; fi
      version_of "$place"
      [ -n "$REPLY" ] || continue
      if [ "$REPLY" = "$1" ]; then
        REPLY=$place
        return
      fi
      any=${any:-$place}
    done
  done
  REPLY=$any
  [ -n "$any" ]
}

# make_venv PLACE: that environment is there and runs, its Python in REPLY; otherwise REPLY says why not. It is made once: what
# came of it is in $WORK/venvs.
make_venv() {
  local dir version='' home='' base kind path a b log verdict
  venv_of "$1"
  dir=$REPLY
  if [ -x "$dir/bin/python3" ] && version_of "$dir/bin/python3" && [ -n "$REPLY" ]; then
    REPLY=$dir/bin/python3
    return
  fi
  while read -r kind a; do
    if [ "$kind" = "$1" ]; then
      REPLY=$a
      return 1
    fi
  done < "$WORK/venvs"
  while read -r kind path a b; do
    case $1 in
      "v:$path") if [ "$kind" = venv ]; then version=$a home=$b; fi ;;
      "o:$path") if [ "$kind" = python ]; then version=${b%% *}; fi ;;
    esac
  done < "$MAIN_WORK/index.tools"
  version=$(printf '%s\n' "$version" | awk -F . '{ print ($1 ~ /^[0-9]+$/ && $2 ~ /^[0-9]+$/) ? $1 "." $2 : "3" }')
  printf -v home '%b' "$home"
  log=$MAIN_TO/$BESIDE/packages.log/venv-${dir##*/}.log
  verdict=''
  if [ -L "$dir" ] || { [ -e "$dir" ] && [ ! -f "$dir/pyvenv.cfg" ]; }; then
    verdict="$dir is in the way of its Python environment"
  elif ! find_base "$version" "$home"; then
    verdict='no Python yet'
  else
    base=$REPLY
    note "Making the Python environment $dir ..."
    if ! "$base" -m venv "$dir" > "$log" 2>&1 < /dev/null || ! version_of "$dir/bin/python3" || [ -z "$REPLY" ]; then
      verdict="its Python environment cannot be made: see $log"
    elif [ "$REPLY" != "$version" ] && [ "$version" != 3 ]; then
      printf '%s\n' "the environment $dir has Python $REPLY, it had $version" >> "$MAIN_TO/$BESIDE/packages.drift" || full "$MAIN_TO"
    fi
  fi
  if [ -n "$verdict" ]; then
    printf '%s %s\n' "$1" "$verdict" >> "$WORK/venvs" || full "$WORK"
    REPLY=$verdict
    return 1
  fi
  REPLY=$dir/bin/python3
}

# find_python PLACE: the Python that packages of a place go into, in REPLY; if there is none, why.
find_python() {
  local path
  case $1 in
    v:* | o:*)
      make_venv "$1"
      return
      ;;
    p:*)
      printf -v path '%b' "${1#p:}"
      if runs "$path"; then
        REPLY=$path
        return
      fi
      if [ -n "$PYTHON" ]; then
        show "${1#p:}"
        printf 'pip: there is no %s here, so its packages are in %s\n' "$REPLY" "$PYTHON" >> "$MAIN_TO/$BESIDE/packages.drift" || full "$MAIN_TO"
      fi
      ;;
  esac
  REPLY=$PYTHON
  if [ -n "$REPLY" ]; then return; fi
  REPLY='no Python yet'
  return 1
}

# install_packages does what plan_packages found, and writes what failed and what differs to $WORK/drift.
install_packages() {
  local kind name version place logs=$MAIN_TO/$BESIDE/packages.log log number=0 total began=$SECONDS installed=0
  : > "$WORK/drift" || full "$WORK"
  : > "$WORK/venvs" || full "$WORK"
  find_tools
  lines_of "$WORK/packages"
  total=$REPLY
  if ! mkdir -p "$logs" 2> /dev/null; then
    say "Packages are not installed: $logs cannot be made."
    return 1
  fi
  get_tools "$logs"
  while read -r kind name version place <&3; do
    number=$((number + 1))
    log=$logs/$kind-${name//\//-}.log
    if install_one > "$log" 2>&1; then
      if [ "$kind" = pip ]; then
        name=$name==$version
        if [ "$place" != - ]; then name="$name $place"; fi
      fi
      # An environment that is there is its own proof.
      if [ "$kind" != venv ]; then printf '%s %s\n' "$kind" "$name" >> "$MAIN_TO/$BESIDE/packages.done" || full "$MAIN_TO"; fi
      installed=$((installed + 1))
      note "Package $number of $total: ${name%% *}"
    else
      note "Package $number of $total: $name failed"
      printf '%s %s: %s\n' "$kind" "$name" "$REPLY" >> "$WORK/drift" || full "$WORK"
    fi
  done 3< "$WORK/packages"
  # For maia-dr, which says how long a restore would take.
  if [ "$installed" -gt 0 ]; then printf '%s %s\n' "$installed" $((SECONDS - began)) >> "$MAIN_TO/$BESIDE/packages.time" || full "$MAIN_TO"; fi
  # Agents whose Python is in such an environment can run only now.
  if [ -n "$INTO_HOME" ]; then in_home load_waiting; fi
}

# get_tools LOGS: the Command Line Tools and Homebrew, where they are missing and somebody sits there, who has not said --yes: macOS asks in its own
# ways, in a window for the first, for the password of the Mac for the second. What does not come is told with the packages
# that lack it.
get_tools() {
  local waited=0
  if [ -n "$YES" ] || ! has_terminal; then return 0; fi
  if ! xcode-select -p > /dev/null 2>&1; then
    say 'The Command Line Tools are missing. macOS asks in a window of its own whether to install them: please agree. It takes some minutes ...'
    xcode-select --install > "$1/command-line-tools.log" 2>&1 || :
    until xcode-select -p > /dev/null 2>&1; do
      if [ "$waited" -ge "$TOOLS_LIMIT" ]; then
        say 'They have not come, and are waited for no longer.'
        break
      fi
      sleep 5
      waited=$((waited + 5))
    done
  fi
  if [ -z "$BREW" ] && awk '$1 != "pip" && $1 != "venv" { found = 1 } END { exit !found }' "$WORK/packages"; then
    say 'Homebrew is missing. Its own installer brings it, from github.com; macOS asks for the password of this Mac, which is not that of the vault.'
    if curl -fsSL -o "$WORK/homebrew.sh" "$HOMEBREW_INSTALLER" > "$1/homebrew.log" 2>&1 && sudo -v; then
      NONINTERACTIVE=1 bash "$WORK/homebrew.sh" < /dev/null >> "$1/homebrew.log" 2>&1 || say "It did not come: see $1/homebrew.log."
    else
      say "It did not come: see $1/homebrew.log."
    fi
  fi
  find_tools
}

# install_one: kind, name, version and place are install_packages's. REPLY says why not.
install_one() {
  local python user=--user managed
  REPLY='see its log'
  case $kind in
    venv)
      make_venv "$place"
      return
      ;;
    pip)
      if ! find_python "$place"; then return 1; fi
      python=$REPLY
      case $place in v:* | o:*) user='' ;; esac
      if pip_install "$name==$version"; then return; fi
      # A Python that others manage allows it to nobody; the same command would fail again.
      if [ -n "$user" ] && grep -q externally-managed "$log"; then
        if ! make_venv o:0; then return 1; fi
        managed="$python is managed by others: its packages are in ${REPLY%/bin/python3}; agents that run it find them with --map $python=$REPLY"
        printf '%s\n' "$managed" >> "$WORK/drift"
        printf '%s\n' "$managed" >> "$MAIN_TO/$BESIDE/packages.drift"
        python=$REPLY user=''
        if pip_install "$name==$version"; then return; fi
      fi
      REPLY='see its log'
      pip_install "$name" || return 1
      # It is installed, and stays another one: every report says so.
      printf 'pip %s: another version than %s\n' "$name" "$version" >> "$MAIN_TO/$BESIDE/packages.drift"
      return 0
      ;;
  esac
  if [ -z "$BREW" ]; then
    REPLY='no Homebrew yet'
    return 1
  fi
  case $kind in
    tap)
      "$BREW" tap "$name" || return 1
      case $name in
        homebrew/*) ;;
        *) if "$BREW" trust --help; then "$BREW" trust "$name" || return 1; fi ;;
      esac
      ;;
    brew) HOMEBREW_NO_ASK=1 "$BREW" install --formula "$name" ;;
    cask) HOMEBREW_NO_ASK=1 "$BREW" install --cask "$name" ;;
  esac
}

# pip_install PACKAGE: python and user are install_one's.
pip_install() { "$python" -m pip install ${user:+"$user"} --no-input --disable-pip-version-check "$1"; }

# print_packages: what is left to do; fails if something is.
print_packages() {
  local line left=''
  if [ -s "$WORK/drift" ]; then
    left=yes
    say "Packages that are not as they were (logs: $MAIN_TO/$BESIDE/packages.log):"
    sort -u "$WORK/drift" > "$WORK/list" || full "$WORK"
    while IFS= read -r line; do say "  $line"; done < "$WORK/list"
    if ! xcode-select -p > /dev/null 2>&1; then say '  The Command Line Tools are not here. Install them: xcode-select --install'; fi
    # These dollars are for another shell.
    # shellcheck disable=SC2016
    if [ -z "$BREW" ]; then say '  Homebrew is not here. Install it: /bin/bash -c "$(curl -fsSL '"$HOMEBREW_INSTALLER"')"'; fi
    say '  Then, and as often as you like: the same command with --only packages.'
  else
    say 'All packages are installed.'
  fi
  if [ -s "$MAIN_TO/$BESIDE/packages.drift" ]; then
    sort -u "$MAIN_TO/$BESIDE/packages.drift" > "$WORK/list" || full "$WORK"
    say 'Installed in another way than it was:'
    while IFS= read -r line; do say "  ${line//[![:print:]]/?}"; done < "$WORK/list"
  fi
  if [ -s "$WORK/byhand" ]; then
    say 'Lines of the package lists that are left to you:'
    while IFS= read -r line; do say "  ${line//[![:print:]]/?}"; done < "$WORK/byhand"
  fi
  [ -z "$left" ]
}

# ---------------------------------------------------------------------------------------------------------------------
# Git
#
# .git is in no backup. It is made anew: what the remotes have from them, what was pushed nowhere from the vault's bundle; then the
# branches and HEAD are put where they were, and the index is HEAD's, so that git status shows what it showed. All that is
# done in a folder of its own, which becomes .git when it is complete: a .git that is there is never touched, and what was
# interrupted, or found no network, goes on from there. Of the files in the target git changes none.
#
# What a backup says about git is data of whoever made it. Only addresses of a few plain kinds are given to git, which is
# told to allow no others; no hook runs, and nothing of a repository is checked out.

# plan_git: HEAD and the others from the index; NO_HISTORY says why nothing is brought back: none (there is nothing), nowhere (it
# had no remote, so that no backup has it), there (a .git), out (not asked for), or unproven.
plan_git() {
  local kind commit branch changed unknown unpushed stashes
  HEAD='' NO_HISTORY=''
  while read -r kind commit branch changed unknown unpushed stashes; do
    if [ "$kind" = state ]; then HEAD=$commit BRANCH=$branch CHANGED=$changed UNKNOWN=$unknown UNPUSHED=$unpushed STASHES=$stashes; fi
  done < "$WORK/index.git"
  : > "$WORK/history" || full "$WORK"
  if [ -z "$HEAD" ]; then
    NO_HISTORY=none
  elif ! grep -q '^remote ' "$WORK/index.git"; then
    NO_HISTORY=nowhere
  elif [ -n "$NO_GIT" ] || { [ -z "$ONLY_GIT" ] && [ -n "$ONLY$ONLY_PHASES" ]; }; then
    NO_HISTORY=out
  elif [ -e "$TO/.git" ] || [ -L "$TO/.git" ]; then
    NO_HISTORY=there
  elif [ -z "$AUTHENTICATED" ] && [ -n "$VAULT_BYTES$STRIPPED" ]; then
    NO_HISTORY=unproven
  fi
  # With git.keep_history it is among the files.
  if awk '$8 == ".git" || index($8, ".git/") == 1 { found = 1; exit } END { exit !found }' "$WORK/index.entries"; then NO_HISTORY=${NO_HISTORY:-out}; fi
  choose_remotes
}

history_to_come() { [ -z "$NO_HISTORY" ]; }

# choose_remotes: those that git may be let at, as "name address" in $WORK/remotes, encoded; the others in $WORK/remotes.bad.
choose_remotes() {
  encoded "$TO"
  { printf 'to %s/\n' "$REPLY" && cat "$WORK/index.git"; } | awk -v bad="$WORK/remotes.bad" '
    function harmless(url) {
      if (url ~ /[\\]/ && url !~ /^(file:\/\/)?\//) return 0
      if (url ~ /^(https|ssh):\/\/([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?\/[^-]/) return 1
      if (url ~ /^([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]+:[A-Za-z0-9_~.\/]/ && url !~ /:\/\//) return 1
      sub(/^file:\/\//, "", url)
      # A repository that came with the backup is not one to be trusted.
      return url ~ /^\// && url !~ /\/\.\.?(\/|$)/ && url !~ /\/\// && index(url "/", to) != 1
    }
    BEGIN { printf "" > bad }
    $1 == "to" { to = $2 }
    $1 != "remote" { next }
    length($2) <= 100 && $2 ~ /^[A-Za-z0-9_][A-Za-z0-9._-]*$/ && $2 !~ /\.\.|\.$|\.lock$/ && !($2 in seen) && harmless($3) { seen[$2] = 1; print $2, $3; next }
    { print $2, $3 > bad }' > "$WORK/remotes" || full "$WORK"
}

# print_git: what will be done about the history.
print_git() {
  local name url kept text=''
  case $NO_HISTORY in
    none | out) return ;;
    nowhere)
      say '  git    the history is in no backup: it had no remote'
      return
      ;;
    there)
      say "  git    $TO/.git is there already and stays as it is"
      return
      ;;
    unproven)
      say '  git    the history is not brought back, as nothing proves who made this backup'
      return
      ;;
  esac
  while read -r name url; do
    show "$url"
    text="$text, $name ($REPLY)"
  done < "$WORK/remotes"
  if [ -n "$text" ]; then text="from ${text#, }"; fi
  if [ "$VAULT" = open ] && [ $((UNPUSHED + STASHES)) -gt 0 ]; then
    count "$STASHES" 'stash' 'stashes'
    kept=$REPLY
    if [ "$UNPUSHED" -gt 0 ]; then
      count "$UNPUSHED" 'commit that was' 'commits that were'
      kept="$REPLY not pushed"
    fi
    text="$text${text:+, and }$kept from the vault"
  fi
  say "  git    the history comes ${text:-from nowhere} (--no-git leaves it out)"
  if [ "$VAULT" != open ] && [ "$UNPUSHED" -gt 0 ]; then
    count "$UNPUSHED" 'commit' 'commits'
    say "         without $REPLY that no remote had, which only the vault could have kept"
  fi
  while read -r name url; do
    show "$name"
    name=$REPLY
    show "$url"
    say "         not asked, as its name or address is unusual: $name ($REPLY)"
  done < "$WORK/remotes.bad"
}

# prepare_git: the folder where .git is made, with the bundle of the vault, which has to be opened while the password is known.
prepare_git() {
  history_to_come || return 0
  GIT_MAKING=$MAIN_TO/$BESIDE/git.partial
  if [ -L "$MAIN_TO/$BESIDE" ] || [ -L "$GIT_MAKING" ] || ! mkdir -p "$GIT_MAKING" 2> /dev/null; then
    NO_HISTORY=failed
    printf '%s\n' "$GIT_MAKING cannot be made" >> "$WORK/history"
    return
  fi
  rm -f "$GIT_MAKING/bundle"
  if [ "$VAULT" = open ]; then
    decrypt | one_of_tar git.bundle > "$GIT_MAKING/bundle" || :
    if [ ! -s "$GIT_MAKING/bundle" ]; then rm -f "$GIT_MAKING/bundle"; fi
  fi
}

# find_git: GIT, if there is one that runs without opening a dialog.
find_git() {
  local place
  GIT=''
  for place in "$(command -v git)" /opt/homebrew/bin/git /usr/local/bin/git; do
    case $place in /*) ;; *) continue ;; esac
    if [ ! -x "$place" ]; then continue; fi
    # The one that is a part of macOS starts what the Command Line Tools bring.
    if [ "$place" = /usr/bin/git ] && command -v xcode-select > /dev/null 2>&1; then
      if ! place=$(xcode-select -p 2> /dev/null) || [ ! -d "$place" ]; then continue; fi
      place=/usr/bin/git
    fi
    GIT=$place
    return
  done
}

# in_git ARGUMENT...: git on the repository that is being made, with nothing that could run something else. GIT_RUN is exec where
# the shell around it is to become git.
in_git() {
  GIT_ALLOW_PROTOCOL=https:ssh:file GIT_TERMINAL_PROMPT=0 GIT_ASKPASS=false SSH_ASKPASS=false GIT_SSH_COMMAND='ssh -o BatchMode=yes -o ConnectTimeout=30' \
    GIT_EDITOR=false GIT_PAGER=cat GIT_NO_LAZY_FETCH=1 \
    $GIT_RUN "$GIT" --git-dir="$GIT_MAKING/.git" --work-tree="$MAIN_TO" --no-pager --literal-pathspecs -c core.hooksPath=/dev/null -c core.fsmonitor=false \
    -c core.alternateRefsCommand=false -c protocol.ext.allow=never -c submodule.recurse=false -c fetch.recurseSubmodules=false -c fetch.writeCommitGraph=false \
    -c gc.auto=0 -c maintenance.auto=false -c core.pager=cat -c diff.external= -c core.quotePath=true "$@"
}

# bring_history does it. What there is to say goes to $WORK/history; NO_HISTORY is done, partly (as far as there is something), or
# failed (so far).
bring_history() {
  history_to_come || return 0
  note 'Bringing the git history back ...'
  if make_history; then
    NO_HISTORY=${NO_HISTORY:-done}
    rm -rf "$GIT_MAKING"
  else
    NO_HISTORY=failed
    # It has what was pushed nowhere, and the vault has it too.
    rm -f "$GIT_MAKING/bundle"
  fi
}

# tell TEXT: a line of what there is to say of the history.
tell() { printf '%s\n' "$*" >> "$WORK/history" || full "$WORK"; }

make_history() {
  local name url kind commit remote ref unreached='' lost=''
  find_git
  if [ -z "$GIT" ]; then
    tell 'git is not here yet: xcode-select --install, or Homebrew, brings it'
    return 1
  fi
  if [ ! -f "$GIT_MAKING/.git/HEAD" ] || ! in_git rev-parse --git-dir > /dev/null 2>&1; then
    rm -rf "$GIT_MAKING/.git"
    if ! "$GIT" init -q --template= -- "$GIT_MAKING" > "$WORK/git.log" 2>&1; then
      tell "git init fails: $(complaint "$WORK/git.log")"
      return 1
    fi
  fi
  while read -r name url <&3; do
    printf -v url '%b' "$url"
    in_git config "remote.$name.url" "$url" && in_git config "remote.$name.fetch" "+refs/heads/*:refs/remotes/$name/*"
    note "  fetching from $name ..."
    if ! GIT_RUN='exec' limited 1800 in_git fetch -q --no-recurse-submodules -- "$name" > "$WORK/git.log" 2>&1 3<&-; then
      tell "$name cannot be fetched: $(complaint "$WORK/git.log")"
      unreached=yes
    fi
  done 3< "$WORK/remotes"
  : > "$WORK/stashes"
  if [ -f "$GIT_MAKING/bundle" ]; then
    if in_git bundle unbundle "$GIT_MAKING/bundle" > "$WORK/unbundled" 2> "$WORK/git.log"; then
      # The oldest first, as git has them.
      awk '$1 !~ /^[0-9a-f]+$/ { next } $2 == "refs/stash" { print 0, $1 } $2 ~ /^refs\/stashes\/[0-9]+$/ { print substr($2, 14), $1 }' "$WORK/unbundled" |
        sort -rn > "$WORK/stashes"
    else
      lost=yes
      tell "the commits and stashes in the vault cannot be added: $(complaint "$WORK/git.log")"
    fi
  fi
  if ! in_git cat-file -e "$HEAD^{commit}" 2> /dev/null; then
    # What is not in the vault, and on no remote that could be asked, will not come later either.
    if [ -n "$unreached" ] || ! nearest_head; then
      tell "the commit that was checked out, ${HEAD:0:12}, is not to be had yet"
      return 1
    fi
  fi
  while read -r kind commit name remote ref <&3; do
    if [ "$kind" = branch ]; then restore_branch; fi
  done 3< "$WORK/index.git"
  restore_head && restore_index || return 1
  # The vault still has them: what is brought back is a part.
  if [ -n "$lost" ]; then NO_HISTORY=partly; else restore_stashes; fi
  if [ -z "$NO_HISTORY" ]; then compare_status; fi
  if [ -e "$MAIN_TO/.git" ] || [ -L "$MAIN_TO/.git" ] || ! mv -n "$GIT_MAKING/.git" "$MAIN_TO/.git" 2> /dev/null; then
    tell "$MAIN_TO/.git cannot be put into place"
    return 1
  fi
}

# restore_stashes: each under what its commit says, which is what git lists it as, but for names of one's own.
restore_stashes() {
  local number commit subject count=0
  # A run that came as far as this before has put them there. Without the vault they are all there is.
  if [ ! -s "$WORK/stashes" ] && in_git rev-parse --verify -q refs/stash > /dev/null 2>&1; then return; fi
  in_git update-ref -d refs/stash 2> /dev/null || :
  while read -r number commit <&3; do
    count=$((count + 1))
    subject=$(in_git rev-list --max-count=1 --format=%s "$commit" 2> /dev/null | sed 1d)
    in_git update-ref --create-reflog -m "${subject:-restored from the backup}" refs/stash "$commit" 2> /dev/null || tell "stash $number cannot be put into place"
  done 3< "$WORK/stashes"
  if [ "$count" -eq 0 ] && [ "$STASHES" -gt 0 ]; then
    tell 'its stashes are not in the backup'
  elif [ "$count" -lt "$STASHES" ]; then
    tell "of $STASHES stashes $count came back, the newest among them: the others are not in the backup"
  fi
}

# complaint FILE: what git said, harmless to print: the line that says what is wrong, else the last.
complaint() { awk '/^(fatal|error):/ && !found { found = $0 } NF { last = $0 } END { if (found) last = found; gsub(/[^ -~]/, "?", last); print substr(last, 1, 200) }' "$1"; }

# nearest_head: HEAD becomes what the remote has of its branch, where the commit itself is in no backup. The files are those of the
# backup all the same.
nearest_head() {
  local kind commit name remote ref last=''
  while read -r kind commit name remote ref; do
    if [ "$kind" = branch ] && [ "$name" = "$BRANCH" ]; then
      case $remote$ref in *[!A-Za-z0-9._/-]*) ;; *) last=refs/remotes/$remote/${ref#refs/heads/} ;; esac
    fi
  done < "$WORK/index.git"
  last=$(in_git rev-parse --verify -q "$last^{commit}" 2> /dev/null) || return 1
  tell "the commit that was checked out, ${HEAD:0:12}, is on no remote and not in the vault: the branch is where the remote has it, and git status shows the difference"
  HEAD=$last NO_HISTORY=partly
}

# restore_branch: kind, commit, name, remote and ref are make_history's. Names that git would not take are told.
restore_branch() {
  local shown
  show "$name"
  shown=$REPLY
  printf -v name '%b' "$name"
  if ! in_git check-ref-format "refs/heads/$name" 2> /dev/null; then
    tell "$shown is no name for a branch"
    return
  fi
  if ! in_git cat-file -e "$commit^{commit}" 2> /dev/null; then
    tell "the branch $shown stood at ${commit:0:12}, which is not to be had"
    return
  fi
  if ! in_git update-ref "refs/heads/$name" "$commit" 2> /dev/null; then tell "the branch $shown cannot be made"; fi
  [ "$remote" != - ] && [ "$ref" != - ] || return 0
  printf -v ref '%b' "$ref"
  if [ "$remote" != . ] && ! awk -v name="$remote" '$1 == name { found = 1 } END { exit !found }' "$WORK/remotes"; then return; fi
  case $ref in refs/heads/*) in_git check-ref-format "$ref" 2> /dev/null || return 0 ;; *) return ;; esac
  in_git config "branch.$name.remote" "$remote" && in_git config "branch.$name.merge" "$ref"
}

# restore_head: HEAD, at its branch or detached.
restore_head() {
  local name
  printf -v name '%b' "$BRANCH"
  if [ "$BRANCH" = - ]; then
    in_git update-ref --no-deref HEAD "$HEAD" 2> "$WORK/git.log" && return
  elif in_git check-ref-format "refs/heads/$name" 2> "$WORK/git.log" && in_git update-ref "refs/heads/$name" "$HEAD" 2> "$WORK/git.log" &&
    in_git symbolic-ref HEAD "refs/heads/$name" 2> "$WORK/git.log"; then
    return
  fi
  tell "HEAD cannot be set: $(complaint "$WORK/git.log")"
  return 1
}

# restore_index: HEAD's, with what the files in the target are. Ours are not for git to see.
restore_index() {
  if ! mkdir -p "$GIT_MAKING/.git/info" || ! printf '/%s/\n/.maia-venv*\n/%s\n/%s*\n' "$BESIDE" "$SCRATCH_NAME" "$LOCK_NAME" > "$GIT_MAKING/.git/info/exclude"; then
    full "$MAIN_TO"
  fi
  if in_git reset -q --mixed > "$WORK/git.log" 2>&1; then return; fi
  tell "git reset fails: $(complaint "$WORK/git.log")"
  return 1
}

# compare_status: whether git status shows as many files as it did.
compare_status() {
  local changed unknown
  in_git status --porcelain=v1 -z --untracked-files=all --ignore-submodules=dirty --no-renames 2> /dev/null | tr '\000\n' '\n?' |
    awk '/^\?\?/ { unknown++; next } NF { changed++ } END { print changed + 0, unknown + 0 }' > "$WORK/numbers"
  read -r changed unknown < "$WORK/numbers"
  if [ "$changed" = "$CHANGED" ] && [ "$unknown" = "$UNKNOWN" ]; then return; fi
  tell "git status shows $changed changed and $unknown unknown files; it showed $CHANGED and $UNKNOWN. What backups leave out (logs, caches) is missing: git status names it"
}

# print_history: what came of it; fails if it is not complete.
print_history() {
  local line
  case $NO_HISTORY in
    'done')
      show "$BRANCH"
      if [ "$BRANCH" = - ]; then REPLY='no branch'; fi
      say "The git history is back, at ${HEAD:0:12} of $REPLY."
      ;;
    failed) say 'The git history is not back yet:' ;;
    there) if [ -n "$ONLY_GIT" ]; then say "$TO/.git is there already and stays as it is."; fi ;;
    partly) say "The git history is back in part, at ${HEAD:0:12}:" ;;
    none | nowhere) if [ -n "$ONLY_GIT" ]; then say 'This backup knows of no git repository that could be brought back.'; fi ;;
  esac
  while IFS= read -r line; do say "  $line"; done < "$WORK/history"
  case $NO_HISTORY in
    failed) ;;
    partly) return 1 ;;
    *) return 0 ;;
  esac
  say '  Try it again at any time: the same command with --only git.'
  return 1
}

# ---------------------------------------------------------------------------------------------------------------------
# The end

print_summary() {
  local name reason number code=$DONE
  if [ -n "$INTO_HOME" ]; then
    in_home print_agents
    if grep -q '^failed ' "$WORK/home/agents"; then code=$INCOMPLETE; fi
  fi
  print_secrets ''
  if grep -q '^1 ' "$WORK/secrets"; then code=$INCOMPLETE; fi
  # Whoever asked for components without secrets misses nothing of a closed vault.
  case "$ONLY " in ' ' | *' secrets '*) ;; *) grep -q '^1 ' "$WORK/secrets" || CLOSED='' ;; esac
  if [ -n "$CLOSED" ]; then
    code=$INCOMPLETE
    say "NOT COMPLETE: $CLOSED, and only the vault has the secrets."
    say 'What to do: run the same command again with the vault password: what is in place stays.'
  elif [ "$VAULT" = open ]; then
    say 'credentials.json, and git.bundle if there is one, stay in the vault.'
  fi
  lines_of "$WORK/doubtful"
  if [ "$DATABASES" -gt 0 ] && [ -n "$SQLITE" ] && [ "$REPLY" -eq 0 ]; then
    count "$DATABASES" 'database was opened and is sound.' 'databases were opened and are sound.'
    say "$REPLY"
    REPLY=0
  fi
  if [ "$REPLY" -gt 0 ]; then
    code=$INCOMPLETE
    say 'Restored as they were in the backup, but SQLite finds fault with them:'
    while read -r name reason; do
      show "$name"
      say "  $REPLY: $reason"
    done < "$WORK/doubtful"
  fi
  if [ -s "$WORK/chunks.bad" ] || [ -s "$WORK/damaged" ]; then
    code=$INCOMPLETE
    say 'Missing or damaged in the backup:'
    while read -r number name reason; do say "  $name $reason"; done < "$WORK/chunks.bad"
    while read -r name reason; do say "  $ID/$name $reason"; done < "$WORK/damaged"
  fi
  lines_of "$WORK/missing"
  if [ "$REPLY" -gt 0 ]; then
    code=$INCOMPLETE
    print_missing "$REPLY"
  fi
  if [ -n "$INSTALL" ] && ! print_packages; then code=$INCOMPLETE; fi
  print_history || code=$INCOMPLETE
  if [ "$code" -eq "$DONE" ]; then
    say 'Everything that was asked for and that this backup holds is in place.'
  fi
  if [ -n "$INTO_HOME" ]; then
    if [ -d "$TO/$BESIDE/packages" ]; then say "Package lists lie in $TO/$BESIDE/packages."; fi
  elif [ -d "$TO/$BESIDE" ]; then
    say "Agents, shell files and package lists lie in $TO/$BESIDE: look at them and copy what you want."
  fi
  return "$code"
}

# print_missing NUMBER: every name, however many, as nothing else tells them; the number last, where it is seen.
print_missing() {
  local name reason
  say 'Not restored:'
  while read -r name reason; do
    show_place "$name"
    say "  $REPLY: $reason"
  done < "$WORK/missing"
  count "$1" 'file' 'files'
  say "NOT COMPLETE: $REPLY could not be restored."
  say 'What to do: wait until OneDrive has synced and run the same command again (what is in place stays), or take them'
  say 'from an older backup: --backup ID --to ANOTHER-FOLDER.'
}

# lines_of FILE: how many, in REPLY.
lines_of() { REPLY=$(awk 'END { print NR }' "$1"); }

# find_home: HOME, where the environment does not have it.
find_home() {
  if [ -n "${HOME:-}" ]; then return; fi
  # The shell looks it up only for a variable that is not there. Of a user it does not know, it says the whole disk.
  unset HOME
  HOME=~
  if [ ! -d "$HOME" ] || [ "$HOME" = / ]; then
    die "$FAILED" 'the home folder is not known.' 'say where it is: HOME=/Users/YOU bash restore_maia.sh'
  fi
  export HOME
}

main() {
  export LC_ALL=C
  # What could change how the tools work.
  unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES GIT_COMMON_DIR GIT_NAMESPACE GIT_TEMPLATE_DIR GIT_SSH GIT_PROXY_COMMAND GIT_EXTERNAL_DIFF GIT_CONFIG_COUNT GIT_CONFIG_PARAMETERS
  unset CDPATH TAR_OPTIONS GZIP POSIXLY_CORRECT PERL5OPT PERL5LIB PERLLIB PERL_UNICODE PERLIO BASH_ENV ENV COPYFILE_DISABLE
  IFS=$' \t\n'
  # An environment can hold options of the shell: to export every variable, or to print every command.
  set +a +v +x
  forget_password
  find_home
  UMASK=$(umask)
  umask 077
  trap clean_up EXIT
  trap interrupted INT TERM HUP

  parse_arguments "$@"
  if [ -n "$VAULT_PASSWORD_FILE" ]; then read_password_file; fi
  # No tool may take the answer to a question, or the rest of this script.
  exec < /dev/null
  check_tools
  find_repository
  make_work
  choose_backup
  check_folder
  choose_place
  authenticate
  demand_proof
  check_place
  open_vault
  STAMP=$(date -u +%Y%m%d_%H%M%S)
  BEFORE=$TO.before-restore-$STAMP
  plan_git
  if [ -n "$AUTHENTICATED" ]; then plan_home; fi
  if [ -n "$ONLY_PHASES" ]; then
    main_phases
    return
  fi
  compare_all
  print_plan
  if [ -n "$DRY_RUN" ]; then
    say 'Nothing was written: this was a dry run.'
    return "$DONE"
  fi
  if something_to_do || { [ -n "$INTO_HOME" ] && in_home something_to_do; }; then
    confirm
    ask_packages
    SECONDS=0
    fetch_dataless
    prepare_scratch
    if [ -n "$INTO_HOME" ]; then
      in_home prepare_scratch
      HOME_SCRATCH=$TARGET_HOME/$HOME_SCRATCH_NAME
    fi
    assemble
    note 'Unpacking and comparing every file ...'
    stage
    if [ -n "$INTO_HOME" ]; then in_home stage_home; fi
    prepare_git
    forget_password
    note 'Putting everything into place ...'
    merge
    finish_folders
    if [ -n "$INTO_HOME" ]; then
      in_home merge
      in_home finish_folders
      awk -v dir="$BESIDE/home/" '{ print dir $0 }' "$WORK/home/missing" >> "$WORK/missing" || full "$WORK"
      in_home examine_agents
      in_home load_agents
    fi
    size "$RESTORED_BYTES"
    say
    print_restored "$REPLY"
    if [ -d "$BEFORE" ]; then say "What was in the way lies in $BEFORE."; fi
  else
    # Nor is there anything of an interrupted one to be removed, as a rule.
    tidy_up
    if [ -n "$INTO_HOME" ]; then in_home tidy_up; fi
    ask_packages
    if [ -n "$INTO_HOME" ] && in_home examine_agents && in_home agents_to_load; then
      say 'Every file is in place. Agents are not loaded yet.'
      confirm
      prepare_git
      in_home load_agents
    elif history_to_come; then
      say 'Every file is in place. The git history is not there yet.'
      confirm
      prepare_git
    else
      say 'There is nothing to do.'
    fi
    forget_password
    drop_locks
  fi
  if [ -n "$INSTALL" ]; then install_packages; fi
  bring_history
  if [ -n "$INTO_HOME" ] && [ -z "$ONLY" ]; then
    print_report 'Restore of' print_summary
  else
    print_summary
  fi
}

# print_restored SIZE: what was put into place.
print_restored() {
  local text
  count "$RESTORED" file files
  text=$REPLY
  count "$DATABASES" database databases
  text="$text ($REPLY), $1, to $TO in"
  if [ "$SECONDS" -eq 0 ]; then
    say "Restored $text under 1 s."
  else
    say "Restored $text $SECONDS s."
  fi
}

# print_report HEADING FUNCTION: what the function says, which versions are others than they were, and what is left to a person; on
# the screen and as a file. Its code is the function's.
print_report() {
  local report=$TO/$BESIDE/report.txt code=$DONE
  "$2" > "$WORK/summary" || code=$?
  {
    print_versions
    print_by_hand
  } >> "$WORK/summary" || full "$WORK"
  cat "$WORK/summary"
  { say "$1 $ID to $TO, $(date)" && cat "$WORK/summary"; } > "$WORK/report" || full "$WORK"
  # A link in the place of the folder would lead out of the target.
  if [ -L "$TO/$BESIDE" ]; then return "$code"; fi
  rm -f "$report.new" 2> /dev/null
  # Whole or not at all.
  if mkdir -p "$TO/$BESIDE" 2> /dev/null && cp "$WORK/report" "$report.new" 2> /dev/null && mv -f "$report.new" "$report" 2> /dev/null; then
    say "This report is in $report."
  fi
  return "$code"
}

# print_versions: those of the machine that was backed up beside those of this one.
print_versions() {
  local kind name was now text=''
  grep -q '^version ' "$WORK/index.tools" || return 0
  find_tools
  find_git
  say 'Versions, as they were and as they are:'
  while read -r kind name was; do
    [ "$kind" = version ] || continue
    version_now "$name"
    now=${REPLY:-not here}
    show "$was"
    case $now in
      "$REPLY") text='the same' ;;
      *) text="now $now" ;;
    esac
    say "  $name $REPLY: $text"
  done < "$WORK/index.tools"
}

# version_now NAME: the version here of what the index gives one of, in REPLY; empty if it is not here, or unknown.
version_now() {
  case $1 in
    macos) REPLY=$(sw_vers -productVersion 2> /dev/null) ;;
    python) REPLY=$([ -n "$PYTHON" ] && "$PYTHON" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2> /dev/null) ;;
    homebrew) REPLY=$([ -n "$BREW" ] && "$BREW" --version 2> /dev/null | awk 'NR == 1 && $1 == "Homebrew" { print $2 }') ;;
    git) REPLY=$([ -n "$GIT" ] && "$GIT" --version 2> /dev/null | awk 'NR == 1 && $2 == "version" { print $3 }') ;;
    *) REPLY='' ;;
  esac
  REPLY=${REPLY//[![:print:]]/?}
}

# print_by_hand: what no program may do, where there are such things.
print_by_hand() {
  command -v sw_vers > /dev/null 2>&1 || return 0
  say "This is macOS $(sw_vers -productVersion 2> /dev/null). What it lets only you do, where your agents need it:"
  say '  files everywhere:  open "x-apple.systempreferences:com.apple.preference.security?Privacy_AllFiles"'
  say '  keys and windows:  open "x-apple.systempreferences:com.apple.preference.security?Privacy_Accessibility"'
  say '  other programs:    open "x-apple.systempreferences:com.apple.preference.security?Privacy_Automation"'
  say '  agents turned off: open "x-apple.systempreferences:com.apple.LoginItems-Settings.extension"'
}

# main_phases: --only packages,git. Nothing is restored, so the target is not compared; the home is, as its agents say
# which Python is theirs.
main_phases() {
  if [ -n "$ONLY_PACKAGES" ] && [ -z "$AUTHENTICATED" ]; then
    die "$WRONG_PASSWORD" "packages are installed only from a proven backup: $UNPROVEN." 'give the password with --vault-password-file FILE.'
  fi
  if [ ! -d "$TO" ]; then die "$FAILED" "there is no Maia in $TO." 'restore it first, or say where it is with --to DIR.'; fi
  if [ -n "$ONLY_PACKAGES" ]; then command -v xcode-select > /dev/null 2>&1 || die "$FAILED" 'packages are installed on a Mac alone.' 'their lists lie in the Maia root, in maia-recovered/packages.'; fi
  if [ -n "$ONLY_GIT" ]; then
    case $NO_HISTORY in unproven) die "$WRONG_PASSWORD" "git history is brought back only from a proven backup: $UNPROVEN." 'give the password with --vault-password-file FILE.' ;; esac
    print_git
  fi
  : > "$WORK/packages" || full "$WORK"
  if [ -n "$ONLY_PACKAGES" ]; then
    if [ -n "$INTO_HOME" ]; then in_home compare_target; fi
    NO_PACKAGES=''
    ask_packages
  fi
  if [ -n "$DRY_RUN" ]; then return "$DONE"; fi
  if [ ! -s "$WORK/packages" ] && ! history_to_come; then
    print_history
    say 'There is nothing to do.'
    return "$DONE"
  fi
  if [ -z "$INSTALL" ] && ! history_to_come; then die "$CANCELLED" 'cancelled. Nothing was installed.'; fi
  take_lock
  prepare_git
  forget_password
  if [ -n "$INSTALL" ]; then
    if [ -n "$INTO_HOME" ]; then in_home examine_agents; fi
    install_packages
  fi
  bring_history
  print_report "Later part of the restore of" print_phases
}

# print_phases: what came of those that were done alone.
print_phases() {
  local code=$DONE
  if [ -n "$INSTALL" ]; then
    if [ -n "$INTO_HOME" ]; then in_home print_agents; fi
    print_packages || code=$INCOMPLETE
  fi
  print_history || code=$INCOMPLETE
  return "$code"
}

# On one line, so that nothing is read of this file afterwards.
main "$@"; exit "$?"
