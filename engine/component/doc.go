// Package component says what belongs where.
//
// Words: a component is a named part of a backup. The catalogue is the list of components and of what is looked for
// by name: LaunchAgents, shell files. The inventory is what is there right now: entries to capture, each in one
// component, and beside them what is not captured: exclusions with the name of their rule, secret-bearing files, and
// what had to be left out. The coverage ledger is the inventory in numbers: every file under the Maia root stands in
// exactly one of these places. Dependencies are the packages that the programs in it need; the system's metadata and
// git's state describe what it was taken from.
//
// Nothing here changes anything: files are looked at and a few bytes of them read, and the tools that are asked (pip,
// brew, git) are run so that they write nothing and contact nobody.
//
//	FindRoot -> Take -> Inventory -> entries, for the engine to capture
//	                              -> CaptureDependencies, CaptureSystem
//	            CaptureGit
package component
