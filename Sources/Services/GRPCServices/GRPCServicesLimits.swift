package import LimitDeclaration

/// The limits of requests to the health and reflection services; a longer request ends its call.
package struct GRPCServicesLimits: LimitGroup {
    /// In bytes of UTF-8; no service has a longer name. A `Watch` call keeps its name.
    @Limit("A service's name in a health request; a longer one is an INVALID_ARGUMENT.")
    package var serviceNameBytesMax: Int = 256
    @Limit("A health request; a longer one ends RESOURCE_EXHAUSTED.")
    package var healthRequestBytesMax: Int = 4 << 10
    @Limit("A reflection request; a longer one ends RESOURCE_EXHAUSTED.")
    package var reflectionRequestBytesMax: Int = 4 << 10

    package static let inForce = GRPCServicesLimits()
}
