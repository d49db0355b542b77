// Package graph asks Microsoft Graph what is in the cloud: the highest rung of the ladder, for whoever wants it.
//
// It is opt-in. The user registers a client of his own with Microsoft, logs in once in the browser (or with a code on another
// device), and the program then may read, and only read, files of that account. The token lies in the Keychain; neither it nor
// any address that holds one stands in an error or a log.
//
// What it says: a file that is not in the listing is not visible yet, which says nothing. One with the same size and
// quickXorHash is in the cloud. One with another is not ours. One without a hash is unknown.
package graph
