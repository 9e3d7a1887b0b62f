/// The version of this build, as `hearth --version` prints it.
package enum HearthVersion {
    package static let current = "0.1.0"
}
