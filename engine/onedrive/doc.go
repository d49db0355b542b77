// Package onedrive finds the user's OneDrive folder, and says honestly what is known of the upload of the files in it.
//
// Words: a rung is a step of the ladder from unknown to cloud_verified. A source (Provider) is something that can be asked
// about files; it has a highest rung, above which it is never believed. An observation is one answer about one file at one
// moment. A track is what all observations of a file add up to. A verdict says how the waiting for a set of files stands.
//
// The way of the evidence:
//
//	published files      catalogue and listing: what a backup consists of, old chunks included
//	  -> ledger          sync.json (package state): a track per file, and an odometer of awake time
//	  -> observations    Look: stat, ask the source for a batch of paths, stat again, clamp to its highest rung
//	  -> proof           Track.Observe: two observations a minute apart of the same unchanged file; anything else is none
//	  -> verdict         Judge: done, progressing, slow, stuck, blocked or unknowable; a backup's rung is its files' minimum
//	  -> status, history the engine tells it, hashes the local files of an uploaded backup once more, and writes it down
//
// Time is awake time. The machine sleeps, and nobody looks for hours: a Moment has a clock that stands still in sleep, and
// the ledger adds up what passed on it between two looks, so that neither sleep nor a clock that was set counts as waiting.
//
// What a source says is never more than its word: unknown is never success, a state that comes and goes is none, and
// OneDrive's own "uploaded" was seen to be true minutes before the cloud had the file. Hence client_uploaded is called
// "OneDrive reports uploaded", and only package graph, which asks Microsoft, may say cloud_verified.
package onedrive
