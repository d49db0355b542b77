package repository

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Format is the version of the repository format that this program reads and writes.
const Format = 1

// Names in a repository.
const (
	DirName        = "MaiaBackups"
	ChunksDir      = "chunks"
	RepositoryName = "repository.json"
	ReadmeName     = "README.txt"
	ScriptName     = "restore_maia.sh"

	ManifestName       = "backup_manifest.json"
	FilesName          = "files.jsonl.gz"
	RestoreIndexName   = "restore.index.gz"
	MACName            = "restore.mac"
	VaultName          = "credentials.vault.enc"
	LaunchAgentsName   = "launchagents.tar.gz"
	ShellConfigsName   = "shell_configs.tar.gz"
	SystemMetadataName = "system_metadata.json"
)

// MaxChunkBytes is the largest number of uncompressed bytes in a chunk. Even incompressible ones stay under 50 MB.
const MaxChunkBytes = 48_000_000

// maxChunkFile is the largest file of a chunk: what OneDrive uploads in one piece on a slow line within minutes.
const maxChunkFile = 50_000_000

// maxSmallFile caps what is read into memory of one file of a backup's folder, decompressed or not.
const maxSmallFile = 1 << 30

// maxManifest is the largest manifest: a list of five million extents. maxValues and maxObjects are how many values of any
// kind, and how many objects in lists, one may hold: three bytes of JSON can stand for a struct of 300.
const (
	maxManifest = 256 << 20
	maxValues   = 16_000_000
	maxObjects  = 2_000_000
)

// maxEntries is how many files a backup may hold: a line of the list that says something has 256 bytes.
const maxEntries = 4_000_000

// maxMAC is more than any restore.mac has, which is three lines.
const maxMAC = 1000

// An index is read by shell tools, too: more than this, compressed and not, is no index.
const (
	maxIndexFile  = 64 << 20
	maxIndexBytes = 512 << 20
	// maxIndexHead is how far into an index the line of the manifest is looked for: only names of secrets come before it.
	maxIndexHead = 64 << 20
)

// maxList is how much a list of a backup's folder may hold that has compressed bytes as gzip. gzip can pack zeros
// 1032:1; lines of names, times and hashes reach 160:1, and that only where they are empty files with names of 2,800 bytes.
func maxList(compressed int) int64 { return min(maxSmallFile, 1<<20+256*int64(compressed)) }

var (
	// ErrNotRepository says that a folder holds no repository.json.
	ErrNotRepository = errors.New("not a repository")
	// ErrNewerFormat says that a repository or a manifest has a format this program does not know.
	ErrNewerFormat = errors.New("written by a newer version")
	// ErrDamaged says that stored bytes are not what they were when they were written.
	ErrDamaged = errors.New("damaged")
	// ErrMissing says that a file a backup needs is not there.
	ErrMissing = errors.New("missing")
)

// Hash is a SHA-256.
type Hash [32]byte

// String returns the hash in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Only 64 lower-case digits are accepted: the name of a chunk has
// one spelling.
func (h *Hash) UnmarshalText(b []byte) error {
	if len(b) != 64 || bytes.ContainsAny(b, "ABCDEF") {
		return fmt.Errorf("not a SHA-256: %.70q", b)
	}
	if _, err := hex.Decode(h[:], b); err != nil {
		return fmt.Errorf("not a SHA-256: %w", err)
	}
	return nil
}

// ParseHash reads 64 lower-case hexadecimal digits.
func ParseHash(s string) (Hash, error) {
	var h Hash
	err := h.UnmarshalText([]byte(s))
	return h, err
}

const idLayout = "20060102_150405"

var idPattern = regexp.MustCompile(`^full_[0-9]{8}_[0-9]{6}$`)

// clockSlack is how far the clock may be behind the newest id without that being said: two backups in one second, and
// the small steps of a clock that is being kept right.
const clockSlack = time.Minute

// NewID names a backup made at t, later than every id in present (in any order): when the clock is not past the latest
// id, it is that plus one second. behind says that the clock is clearly wrong.
func NewID(t time.Time, present []string) (id string, behind bool) {
	t = t.UTC().Truncate(time.Second)
	var last time.Time
	for _, p := range present {
		if at, err := IDTime(p); err == nil && at.After(last) {
			last = at
		}
	}
	behind = last.Sub(t) > clockSlack
	if !t.After(last) {
		t = last.Add(time.Second)
	}
	return "full_" + t.Format(idLayout), behind
}

// IsID reports whether s is the name of a backup: the pattern, and a moment that exists.
func IsID(s string) bool {
	_, err := IDTime(s)
	return err == nil
}

// IDTime returns the moment in a backup's name, in UTC.
func IDTime(id string) (time.Time, error) {
	if !idPattern.MatchString(id) {
		return time.Time{}, fmt.Errorf("not the name of a backup: %.60q", id)
	}
	return time.Parse(idLayout, strings.TrimPrefix(id, "full_"))
}

var chunkPattern = regexp.MustCompile(`^([0-9a-f]{64})\.gz$`)

// ChunkName returns the file name of a chunk.
func ChunkName(h Hash) string { return h.String() + ".gz" }

func parseChunkName(name string) (Hash, bool) {
	m := chunkPattern.FindStringSubmatch(name)
	if m == nil {
		return Hash{}, false
	}
	h, err := ParseHash(m[1])
	return h, err == nil
}

var smallNamePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// validFileName reports whether name may stand in a backup's folder: no separators, no dot in front.
func validFileName(name string) bool { return smallNamePattern.MatchString(name) }

var componentPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`)

// validComponent reports whether name may be a component's: it stands bare in the lines of the restore index.
func validComponent(name string) bool { return componentPattern.MatchString(name) }

// idDigits is a random id: of a repository, or of a state directory.
var idDigits = regexp.MustCompile(`^[0-9a-f]{32}$`)

var writerPattern = regexp.MustCompile(`^writer-([0-9]{4})\.json$`)

// SumHash returns the SHA-256 of b.
func SumHash(b []byte) Hash { return sha256.Sum256(b) }
