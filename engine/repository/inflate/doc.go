// Package inflate reads gzip files of many small members quickly: the chunks of a repository, whose members hold 1 MiB
// of content each.
//
//	io.Reader -> Reader.in -> Decoder.Member -> Reader.out -> Next, Read
//	                            header, blocks, CRC-32 and length
//	                            block: lengths of the codes -> tables -> fast loop, careful loop near an end
//	a member that does not fit the buffers -> klauspost's gzip, for it and all behind it
//	a member of which nothing is needed -> Skip, by the sizes in its header
//
// A member is decoded from one slice into another, so that a match is copied within the output and no window is kept.
// The ways are libdeflate's: 64 bits of input at a time, tables whose entries hold all there is to know about a symbol,
// and a main loop that needs to look for neither end because both are far.
//
// What is accepted is what the standard library's compress/gzip accepts, but for the reserved flags of a header, which
// are refused as klauspost's does, and members that declare other sizes than they have. Nothing that is read can make it panic, or hold more memory than its buffers.
package inflate
