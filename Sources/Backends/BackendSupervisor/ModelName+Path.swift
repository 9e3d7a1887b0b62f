package import ModelNaming

extension ModelName {
    /// The name of the model that lies at a path.
    package init(path: String) {
        let name = path[(path.lastIndex(of: "/").map(path.index(after:)) ?? path.startIndex)...]
        self.init(stem: ModelFolder.stem(of: String(name)))
    }
}
