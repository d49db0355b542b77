// Package repository is format 1 on disk: a repository holds backups and chunks. A backup is a dated folder whose
// manifest commits it; a stream is a tar or a database, stored as extents of uncompressed chunks; a chunk is an
// immutable gzip file named by its SHA-256. The mirror is a local repository of the same layout in which a backup is
// made, and publishing brings its files into OneDrive, manifest last. FORMAT.md beside this file is the
// specification.
package repository
