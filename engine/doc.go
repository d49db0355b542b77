// Package engine backs up, verifies, restores and prunes: one verb per file.
//
// Words: the Maia root is the folder being protected. A backup is one dated set in the repository, the folder
// MaiaBackups in OneDrive. It consists of components. A stream is the logical bytes of something large, a tar or one
// database; a block is a piece of a stream that is stored once; a chunk is a file of many blocks; an extent is a run
// of a stream's bytes inside a chunk. A snapshot is a consistent copy of a live SQLite database. The mirror is the
// local repository a backup is made in, publishing brings it into OneDrive. The manifest commits a backup. To verify
// is to compare stored bytes with their hashes; a drill is a rehearsed restore.
//
// A backup's way from entry to disk:
//
//	component.Take           files under the root and home -> entries, each with its component
//	sqlitesnap, os           an entry -> its bytes, consistent
//	stream -> capture        bytes -> blocks -> (block index) -> extents, new blocks -> repository.Packer
//	Packer -> mirror         blocks -> chunks; then file list, restore index, manifest last; read back
//	Publisher -> OneDrive    what is lacking there, chunks first, manifest last
//	OneDrive -> sync.json    what awaits upload and what is proven of it (package onedrive), by whoever looks
//
// A restore's way back: manifest and file list -> the extents of the files asked for -> repository.Source writes each
// chunk's pieces to where they belong -> every file hashed -> agents and shell files relocated (package relocate) -> moved
// into place -> databases checked -> agents loaded.
package engine
