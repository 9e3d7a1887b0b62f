package import LinuxSystem
package import Settings

/// Root is given up before anything is opened.
package enum PrivilegeDrop {
    /// The account that `Scripts/install --system` makes.
    package static let serviceUser = "hearth"

    /// As root, becomes the user of the configuration or the service user; refuses when there is none. Otherwise does
    /// nothing, and refuses a user that is not the one who runs it. The state folder is made for that user first.
    package static func apply(
        user asked: String?, prepareState: (SystemUser) throws(HostError) -> Void
    ) throws(HostError) {
        guard SystemUser.currentIsRoot else {
            if let asked, SystemUser(named: asked)?.uid != SystemUser.currentID {
                throw HostError("user '\(asked)': only root can become another user; leave --user out")
            }
            return
        }
        let name = asked ?? serviceUser
        guard let user = SystemUser(named: name) else {
            throw HostError(
                "Hearth does not serve as root, and there is no user '\(name)' to become: start it as an ordinary user, "
                    + "name one with --user, or make one with: useradd --system --no-create-home \(name)")
        }
        guard user.uid != 0 else { throw HostError("user '\(name)' is root: name an ordinary user with --user") }
        try prepareState(user)
        do throws(LinuxError) {
            try user.become()
        } catch {
            throw HostError("cannot become user '\(name)' (\(error)); start Hearth as that user instead")
        }
    }
}
